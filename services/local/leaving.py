"""Predictors whose place another process has taken: they answer on until the router sends them nothing any more."""

from __future__ import annotations

import signal
import time
from collections.abc import Set
from dataclasses import dataclass, replace

from services.local.processes import Processes

LEAVE = 45.0  # seconds from SIGTERM to SIGKILL: a predictor's drain, then 30 s of its own for requests in work
_LINGER = 8.0  # seconds from when the router was told; a look in which MLflow is away takes 5 until Envoy knows it, too


@dataclass(frozen=True)
class _One:
    port: int
    told: float | None = None  # since when the router knows; monotonic
    ended: float | None = None  # since when it was asked to end


class Leaving:
    """The processes that leave, by name. Whoever calls holds one lock for all of it."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._all: dict[str, _One] = {}

    @property
    def names(self) -> Set[str]:
        """Those that are still there."""
        return self._all.keys()

    @property
    def ports(self) -> list[int]:
        """Where they listen."""
        return [one.port for one in self._all.values()]

    def add(self, name: str, port: int) -> None:
        """One whose place was taken just now."""
        self._all[name] = _One(port)

    def told(self) -> None:
        """The router has been told who serves instead."""
        now = time.monotonic()
        self._all = {name: replace(one, told=one.told or now) for name, one in self._all.items()}

    def follow(self) -> None:
        """End those that nobody needs, and forget those that have ended."""
        now = time.monotonic()
        for name, one in list(self._all.items()):
            if not self._processes.alive(name):
                self._processes.stop(name)
                del self._all[name]
            elif one.ended is not None:
                if now - one.ended > LEAVE:
                    self._processes.signal_end(name, signal.SIGKILL)
            elif one.told is not None and now - one.told > _LINGER:
                self._processes.signal_end(name)
                self._all[name] = replace(one, ended=now)
