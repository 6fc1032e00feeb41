"""When the drift job looks beside a local loop: every `drift.every`, counted over restarts of the supervisor too."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from serinus.ports import Ledger
from serinus.spec import ModelLoop

log = logging.getLogger(__name__)

_AGAIN = timedelta(minutes=1)  # at most, until a look that failed altogether is repeated


class DriftClock:
    """Calls `look(spec, now)` when it is due, on a thread of its own: a question about a day may take seconds."""

    def __init__(self, ledger: Ledger, look: Callable[[ModelLoop, datetime], object]) -> None:
        self._ledger, self._look = ledger, look
        self._looked: datetime | None = None  # by this process
        self._failed: datetime | None = None
        self._thread: threading.Thread | None = None
        self.trouble = ""  # why the latest look failed, when it did

    def tick(self, spec: ModelLoop, now: datetime) -> None:
        """Begin a look when one is due and the last one has ended."""
        if (self._thread is None or not self._thread.is_alive()) and self._due(spec, now):
            self._thread = threading.Thread(target=self._run, args=(spec, now), name="drift", daemon=True)
            self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for a look that is under way."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _due(self, spec: ModelLoop, now: datetime) -> bool:
        drift = spec.spec.drift
        if drift is None:
            return False
        if self._failed is not None:
            return now - self._failed >= min(drift.every, _AGAIN)
        if self._looked is None:
            entry = self._ledger.read(spec.name)
            if entry.status.champion is None:
                return False  # there is nothing to compare with yet
            reported = (r.finding for r in entry.requests if r.finding is not None)
            self._looked = max((f.window.end for f in (*entry.status.drift, *reported)), default=None)
        return self._looked is None or now - self._looked >= drift.every

    def _run(self, spec: ModelLoop, now: datetime) -> None:
        try:
            self._look(spec, now)
        except Exception as error:  # whatever it was: the next look is due all the same
            log.exception("the drift job's look failed")
            self._failed, self.trouble = now, f"{type(error).__name__}: {error}"
        else:
            self._looked, self._failed, self.trouble = now, None, ""
