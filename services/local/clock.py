"""When the jobs look beside a local loop: each every so often, counted over restarts of the supervisor too."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from serinus.ports import Entry, Ledger
from serinus.spec import ModelLoop

log = logging.getLogger(__name__)

_AGAIN = timedelta(minutes=1)  # at most, until a look that failed altogether is repeated


@dataclass(frozen=True)
class Pace:
    """How often a job looks."""

    name: str
    every: Callable[[ModelLoop], timedelta | None]  # None: it is switched off
    last: Callable[[Entry], datetime | None]  # when it last looked, as far as the ledger knows


class Clock:
    """Calls `look(spec, now)` when it is due, on a thread of its own: a question about a day may take seconds."""

    def __init__(self, pace: Pace, ledger: Ledger, look: Callable[[ModelLoop, datetime], object]) -> None:
        self.name = pace.name
        self._pace, self._ledger, self._look = pace, ledger, look
        self._looked: datetime | None = None  # by this process
        self._failed: datetime | None = None
        self._thread: threading.Thread | None = None
        self.trouble = ""  # why the latest look failed, when it did

    def tick(self, spec: ModelLoop, now: datetime) -> None:
        """Begin a look when one is due and the last one has ended."""
        if (self._thread is None or not self._thread.is_alive()) and self._due(spec, now):
            self._thread = threading.Thread(target=self._run, args=(spec, now), name=self.name, daemon=True)
            self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for a look that is under way."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _due(self, spec: ModelLoop, now: datetime) -> bool:
        every = self._pace.every(spec)
        if every is None:
            return False
        if self._failed is not None:
            return now - self._failed >= min(every, _AGAIN)
        if self._looked is None:
            entry = self._ledger.read(spec.name)
            if entry.status.champion is None:
                return False  # there is nothing to compare with yet
            self._looked = self._pace.last(entry)
        return self._looked is None or now - self._looked >= every

    def _run(self, spec: ModelLoop, now: datetime) -> None:
        try:
            self._look(spec, now)
        except Exception as error:  # whatever it was: the next look is due all the same
            log.exception("the %s's look failed", self.name)
            self._failed, self.trouble = now, f"{type(error).__name__}: {error}"
        else:
            self._looked, self._failed, self.trouble = now, None, ""


def _drift_every(spec: ModelLoop) -> timedelta | None:
    return spec.spec.drift.every if spec.spec.drift is not None else None


def _drift_last(entry: Entry) -> datetime | None:
    reported = (r.finding for r in entry.requests if r.finding is not None)
    return max((f.window.end for f in (*entry.status.drift, *reported)), default=None)


def _quality_every(spec: ModelLoop) -> timedelta | None:
    return spec.spec.quality.every if spec.spec.quality is not None else None


def _intake_every(spec: ModelLoop) -> timedelta | None:
    paces = [spec.spec.labels.every] if spec.spec.labels.source is not None else []
    paces += [spec.spec.new_data.every] if spec.spec.new_data is not None else []
    return min(paces, default=None)


def _never(_: Entry) -> datetime | None:
    """A look costs little, and the intake knows itself what is due: after a restart both look at once."""
    return None


DRIFT = Pace("drift job", _drift_every, _drift_last)
QUALITY = Pace("quality job", _quality_every, _never)
INTAKE = Pace("intake", _intake_every, _never)
