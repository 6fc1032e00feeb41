"""What the operator tells Prometheus: of itself, and of all its loops under one address."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.metrics import LoopMetrics

RESULTS = ("done", "incomplete", "failed")
"""Of a look: carried out; carried out but for what could not be seen or done; not even decided."""


class Fleet(Collector):
    """The series of every loop, each family once; those of a loop that is gone go with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loops: dict[str, LoopMetrics] = {}

    def of(self, loop: str) -> LoopMetrics:
        """The loop's metrics, made when there are none."""
        with self._lock:
            return self._loops.setdefault(loop, LoopMetrics(loop))

    def forget(self, loop: str) -> None:
        """The loop is gone."""
        with self._lock:
            self._loops.pop(loop, None)

    def collect(self) -> Iterator[Metric]:
        """Prometheus' client asks at every scrape."""
        with self._lock:
            loops = tuple(self._loops.values())
        families: dict[str, Metric] = {}
        for loop in loops:
            for family in loop.registry.collect():
                whole = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                whole.samples.extend(family.samples)
        yield from families.values()

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the loops come and go."""
        return ()


class OperatorMetrics:
    """The operator's own series. Everything exists at 0 from the start."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a time stamp for each counter, for nobody
        self.registry = CollectorRegistry()
        self.fleet = Fleet()
        self.registry.register(self.fleet)
        name, to = "serinus_operator_", self.registry
        self.leader = Gauge(
            name + "leader", "1 while this replica drives the loops, 0 while it stands by.", registry=to
        )
        self.loops = Gauge(name + "loops", "ModelLoops that this replica drives.", registry=to)
        self.waiting = Gauge(name + "queue", "Looks that are due and wait for a thread.", registry=to)
        self.looks = Counter(name + "looks", "Looks by how they ended.", ["result"], registry=to)
        self.seconds = Histogram(
            name + "look_seconds",
            "How long a look took.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=to,
        )
        self.requests = Counter(
            name + "kube_requests", "Requests to the Kubernetes API; code 0: no answer.", ["verb", "code"], registry=to
        )
        for result in RESULTS:
            self.looks.labels(result)
        self.leader.set(0)

    def answered(self, verb: str, code: int) -> None:
        """What Kube tells of every request."""
        self.requests.labels(verb, str(code)).inc()
