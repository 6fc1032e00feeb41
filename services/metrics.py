"""What a driver tells Prometheus about its loops: weights, verdicts, drift and events, under DESIGN's names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from serinus.decide.events import KINDS
from serinus.facts import Plan, RoutingState

OUTCOMES = ("pass", "fail", "undecided", "error")


class LoopMetrics:
    """The series of one loop, in a registry of their own; every event's counter exists at 0 from the start."""

    def __init__(self, loop: str) -> None:
        self.registry = CollectorRegistry()
        self._loop = loop
        self._weight = Gauge(
            "serinus_rollout_weight", "Share of traffic, in percent.", ["loop", "version"], registry=self.registry
        )
        self._verdict = Gauge(
            "serinus_verdict", "1 for the latest verdict of a gate.", ["loop", "gate", "verdict"],
            registry=self.registry,
        )  # fmt: skip
        self._drift = Gauge(
            "serinus_drift_score", "Population stability index of the latest window.", ["loop", "feature"],
            registry=self.registry,
        )  # fmt: skip
        self._events = Counter("serinus_events", "Events of the loop.", ["loop", "event"], registry=self.registry)
        for kind in KINDS:
            self._events.labels(loop, kind)

    def show(self, plan: Plan, routing: RoutingState | None) -> None:
        """Bring every series up to what this look found."""
        for event in plan.events:
            self._events.labels(self._loop, event.kind).inc()
        self._weight.clear()
        for variant in routing.variants if routing is not None else ():
            self._weight.labels(self._loop, str(variant.version)).set(variant.weight)
        for verdict in plan.status.rollout.verdicts if plan.status.rollout is not None else ():
            for outcome in OUTCOMES:
                self._verdict.labels(self._loop, verdict.gate, outcome).set(outcome == verdict.outcome)
        for feature in plan.status.drift[-1].features if plan.status.drift else ():
            self._drift.labels(self._loop, feature.name).set(feature.psi)
