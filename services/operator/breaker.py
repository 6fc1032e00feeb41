"""Parts that hang: one loop's question finds out, the others' are answered at once.

A server that takes every connection and answers none costs each look its time-out. With hundreds of loops and a few
threads that would keep a rollout from being looked at for minutes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from serinus.errors import Unavailable
from serinus.facts import Alias, AuditEntry, Deed, RolloutRecord, RunRequest, RunState, Series, Version
from serinus.ports import Audit, Metrics, Registry, Runner

T = TypeVar("T")

PAUSE = 5.0  # seconds after a failure in which nobody asks


@dataclass
class Breaker:
    """Of one server. After an Unavailable every question fails with its words for `PAUSE` seconds; then one may try."""

    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _why: str = ""  # of the latest failure; "": it answers
    _again: float = 0.0  # when somebody may try
    _trying: bool = False

    def ask(self, question: Callable[[], T]) -> T:
        """What `question` answers. Raises Unavailable without asking while the server is known to be away."""
        tries = self._enter()
        try:
            answer = question()
        except Unavailable as error:
            with self._lock:
                self._why, self._again = str(error), self.clock() + PAUSE
            raise
        else:
            with self._lock:
                self._why = ""
            return answer
        finally:
            if tries:
                self._trying = False

    def _enter(self) -> bool:
        """Whether this is the one question that finds out whether the server is back."""
        with self._lock:
            if not self._why:
                return False
            if self._trying or self.clock() < self._again:
                raise Unavailable(self._why)
            self._trying = True
            return True


@dataclass(frozen=True)
class GuardedMetrics:
    """`ports.Metrics` behind a breaker."""

    inner: Metrics
    breaker: Breaker

    def increases(self, metric: str, labels: Mapping[str, str], start: datetime, end: datetime) -> tuple[Series, ...]:
        """As the port says."""
        return self.breaker.ask(lambda: self.inner.increases(metric, labels, start, end))


@dataclass(frozen=True)
class GuardedRegistry:
    """`ports.Registry` behind a breaker."""

    inner: Registry
    breaker: Breaker

    def versions(self, loop: str) -> tuple[Version, ...]:
        """As the port says."""
        return self.breaker.ask(lambda: self.inner.versions(loop))

    def alias(self, loop: str, alias: Alias, version: int | None) -> None:
        """As the port says."""
        self.breaker.ask(lambda: self.inner.alias(loop, alias, version))

    def record(self, loop: str, record: RolloutRecord) -> None:
        """As the port says."""
        self.breaker.ask(lambda: self.inner.record(loop, record))


@dataclass(frozen=True)
class GuardedRunner:
    """`ports.Runner` behind a breaker, with one runner to ask and one to make runs with, each made when needed."""

    asked: Callable[[], Runner]
    making: Callable[[], Runner]
    breaker: Breaker

    def submit(self, request: RunRequest) -> RunState:
        """As the port says."""
        return self.breaker.ask(lambda: self.making().submit(request))

    def find(self, key: str) -> RunState | None:
        """As the port says."""
        return self.breaker.ask(lambda: self.asked().find(key))

    def active(self, loop: str) -> tuple[RunState, ...]:
        """As the port says."""
        return self.breaker.ask(lambda: self.asked().active(loop))

    def cancel(self, key: str) -> None:
        """As the port says."""
        self.breaker.ask(lambda: self.asked().cancel(key))


@dataclass(frozen=True)
class GuardedAudit:
    """`ports.Audit` behind a breaker."""

    inner: Audit
    breaker: Breaker

    def append(self, deeds: Sequence[Deed]) -> int:
        """As the port says."""
        return self.breaker.ask(lambda: self.inner.append(deeds))

    def entries(self, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """As the port says."""
        return self.breaker.ask(lambda: self.inner.entries(after, limit))
