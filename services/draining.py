"""A uvicorn server that leaves with no request lost: it answers on for a while after it was told to end."""

from __future__ import annotations

import time
from types import FrameType
from typing import Protocol

import uvicorn


class Leaving(Protocol):
    """What others can see of it."""

    draining: bool  # still answering, but no longer to be sent new requests


class Draining(uvicorn.Server):
    """Answers on for `drain` seconds after the first signal; the second one ends that wait."""

    def __init__(self, config: uvicorn.Config, life: Leaving, drain: float) -> None:
        super().__init__(config)
        self._life, self._drain, self._until = life, drain, float("inf")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Begin to leave. Signals are not kept for later, so that the process exits 0."""
        if self._life.draining:
            self.should_exit = True
            return
        self._life.draining = True
        self._until = time.monotonic() + self._drain

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to stop listening; asked ten times a second."""
        return await super().on_tick(counter) or time.monotonic() >= self._until
