"""What a test waits for in a loop's life, wherever it runs: conditions with a deadline, and its story on failure."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime

from serinus.facts import Event, Status


class Watched(ABC):
    """A loop whose memory can be read."""

    pause = 0.05  # seconds between two looks

    @property
    @abstractmethod
    def status(self) -> Status:
        """What it remembers."""

    @abstractmethod
    def events(self, *kinds: str) -> list[Event]:
        """What happened, oldest first; of these kinds."""

    @abstractmethod
    def details(self) -> list[str]:
        """What else helps whoever reads why a test failed."""

    def story(self) -> str:
        """What happened, for whoever reads why a test failed."""
        return "\n".join([*(f"{e.at:%H:%M:%S} {e.kind} {e.message}" for e in self.events()), *self.details()])

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 90) -> None:
        """Wait until `holds`; fail the test, with the loop's story, when it does not in time."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.story()}"
            time.sleep(self.pause)

    def happens(self, kind: str, since: datetime, seconds: float = 90) -> Event:
        """The first event of this kind at or after `since`."""

        def found() -> list[Event]:
            return [event for event in self.events(kind) if event.at >= since]

        self.until(lambda: bool(found()), f"event {kind}", seconds)
        return found()[0]

    def serves(self, version: int, seconds: float = 90) -> None:
        """Wait until `version` serves everyone and nothing is on its way."""

        def does() -> bool:
            status = self.status
            return status.champion == version and status.rollout is None

        self.until(does, f"version {version} serves everyone", seconds)

    def gets_traffic(self, version: int, seconds: float = 60) -> None:
        """Wait until `version` is a canary with traffic."""

        def has() -> bool:
            rollout = self.status.rollout
            return rollout is not None and rollout.version == version and rollout.step >= 0

        self.until(has, f"version {version} gets traffic", seconds)
