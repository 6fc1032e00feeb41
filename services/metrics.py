"""What a driver tells Prometheus about its loops: weights, verdicts, drift and events, under DESIGN's names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from serinus.decide.events import KINDS
from serinus.facts import Plan, RoutingState

_Children = dict[tuple[str, ...], float]  # label values -> value
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
        self._shown: dict[Gauge, set[tuple[str, ...]]] = {}
        for kind in KINDS:
            self._events.labels(loop, kind)

    def show(self, plan: Plan, routing: RoutingState | None) -> None:
        """Bring every series up to what this look found; `routing` is None when nobody could see it."""
        loop, status = self._loop, plan.status
        for event in plan.events:
            self._events.labels(loop, event.kind).inc()
        weights: _Children = {
            (loop, str(v.version)): v.weight for v in (routing.variants if routing is not None else ())
        }
        verdicts: _Children = {
            (loop, verdict.gate, outcome): float(outcome == verdict.outcome)
            for verdict in (status.rollout.verdicts if status.rollout is not None else ())
            for outcome in OUTCOMES
        }
        drift: _Children = {(loop, f.name): f.psi for f in (status.drift[-1].features if status.drift else ())}
        for gauge, values in ((self._weight, weights), (self._verdict, verdicts), (self._drift, drift)):
            self._put(gauge, values)

    def _put(self, gauge: Gauge, values: _Children) -> None:
        """`gauge` has these children and no others. What stays is never taken away: a scrape may come in between."""
        for labels, value in values.items():
            gauge.labels(*labels).set(value)
        for labels in self._shown.get(gauge, set()) - values.keys():
            gauge.remove(*labels)
        self._shown[gauge] = set(values)
