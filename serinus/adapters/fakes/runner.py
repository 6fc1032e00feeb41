"""The port Runner without Kubeflow: runs that end when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from serinus.errors import Unavailable
from serinus.facts import RunPhase, RunRequest, RunState


def _utcnow() -> datetime:
    return datetime.now(UTC)


class FakeRunner:
    """Runs in memory. `finish`, `fail` and `advance` play the pipeline's part, `away` a backend that cannot be asked.

    >>> runner = FakeRunner()
    >>> request = RunRequest("flights-manual-1", "flights", "manual", datetime.now(UTC), "{}")
    >>> runner.submit(request).phase
    'pending'
    >>> runner.fail(request.key, "check", "temp: 30 % nulls, allowed are 20 %")
    >>> runner.find(request.key).reason
    'temp: 30 % nulls, allowed are 20 %'
    """

    def __init__(self, now: Callable[[], datetime] = _utcnow) -> None:
        self.away = ""  # why nothing can be asked; empty: it can
        self.requests: list[RunRequest] = []  # that made a run, oldest first
        self._now = now
        self._runs: dict[str, RunState] = {}

    def submit(self, request: RunRequest) -> RunState:
        """Make the run unless one with its key exists or one of its loop is active; return the one that counts."""
        self._reach()
        if request.key in self._runs:
            return self._runs[request.key]
        active = self.active(request.loop)
        if active:
            return active[0]
        self.requests.append(request)
        self._runs[request.key] = RunState(request.key, request.loop, request.cause, "pending", self._now())
        return self._runs[request.key]

    def find(self, key: str) -> RunState | None:
        """The run with this key."""
        self._reach()
        return self._runs.get(key)

    def active(self, loop: str) -> tuple[RunState, ...]:
        """The runs of the loop that may still change; at most one."""
        self._reach()
        return tuple(run for run in self._runs.values() if run.loop == loop and run.active)

    def cancel(self, key: str) -> None:
        """End the run; it becomes `failed`. Idempotent."""
        self._reach()
        run = self._runs.get(key)
        if run is not None and run.active:
            self._end(key, "failed", run.step, "cancelled")

    def advance(self, key: str, step: str) -> None:
        """The run is at `step` now."""
        self._runs[key] = replace(self._runs[key], phase="running", step=step)

    def finish(self, key: str) -> None:
        """The run succeeded."""
        self._end(key, "succeeded", self._runs[key].step, "")

    def fail(self, key: str, step: str, reason: str) -> None:
        """The run failed in `step`."""
        self._end(key, "failed", step, reason)

    def _end(self, key: str, phase: RunPhase, step: str, reason: str) -> None:
        self._runs[key] = replace(self._runs[key], phase=phase, ended=self._now(), step=step, reason=reason)

    def _reach(self) -> None:
        if self.away:
            raise Unavailable(self.away)
