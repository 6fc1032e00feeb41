"""Somebody who brings a routing about while others look at what callers get of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from serinus.errors import Retryable
from serinus.facts import Routing, RoutingState, Variant
from tests.cluster.serving import LOOP, Serving
from tests.servers.callers import Answer
from tests.servers.envoy import until


@dataclass
class Driving:
    """Applies `target` every `pace` seconds, with a new router each time, as the operator does."""

    place: Serving
    target: Routing = field(default_factory=Routing)
    state: RoutingState = field(default_factory=RoutingState)
    troubles: list[str] = field(default_factory=list)

    def wants(self, *shares: tuple[int, int], seconds: float = 90.0) -> float:
        """Wait until this and nothing else is there; the seconds that it took."""
        self.target = Routing(tuple(Variant(version, weight) for version, weight in shares))
        wanted, began = {(version, weight, True) for version, weight in shares}, time.monotonic()
        until(lambda: self.seen == wanted, f"{shares}", seconds)
        return time.monotonic() - began

    @property
    def seen(self) -> set[tuple[int, int, bool]]:
        """Version, share and readiness of all that is there."""
        return {(v.version, v.weight, v.ready) for v in self.state.variants}

    def look(self) -> None:
        router = self.place.router()
        try:
            router.apply(LOOP, self.target)
            self.state = router.observe(LOOP)
        except Retryable as error:  # as the operator's, the next look is another chance
            self.troubles.append(str(error))


@contextlib.contextmanager
def driving(place: Serving, pace: float = 1.0) -> Iterator[Driving]:
    """Somebody who drives until the block ends."""
    driver, over = Driving(place), threading.Event()

    def drive() -> None:
        while not over.wait(pace):
            driver.look()

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        yield driver
    finally:
        over.set()
        thread.join()


def kinds(answers: Sequence[Answer]) -> Counter[str]:
    """How often each kind of failure happened."""
    return Counter(f"{a.status} {a.problem[:60]}" for a in answers if a.status != 200)


def span(answers: Sequence[Answer]) -> float:
    """Seconds from the first to the last failure."""
    failed = [a.sent for a in answers if a.status != 200]
    return max(failed) - min(failed) if failed else 0.0
