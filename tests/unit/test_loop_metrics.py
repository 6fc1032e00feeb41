"""What a driver tells Prometheus, read back as Prometheus would read it."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from serinus.decide.events import KINDS
from serinus.facts import DriftFinding, Event, FeatureDrift, Plan, Status, Verdict, Window
from services.metrics import LoopMetrics
from tests.unit.loop_cases import NOW, SECOND, SERVING, canary, routing

IDLE = Plan(SERVING)


def _series(metrics: LoopMetrics, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """The samples called `name`: labels -> value."""
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
        for sample in family.samples
        if sample.name == name
    }


def _judged(*verdicts: Verdict) -> Plan:
    return Plan(replace(SERVING, rollout=canary(verdicts=verdicts)))


def _drifted(**psi: float) -> Plan:
    features = tuple(FeatureDrift(name, 0.5, value, False) for name, value in psi.items())
    finding = DriftFinding(1, Window(NOW - SECOND, NOW), 700, Verdict("drift", "pass", "fine"), features)
    return Plan(replace(SERVING, drift=(finding,)))


def test_every_event_counts_from_nought_before_anything_happened() -> None:
    metrics = LoopMetrics("flights")
    expected = {(("event", kind), ("loop", "flights")): 0.0 for kind in KINDS}
    assert _series(metrics, "serinus_events_total") == expected


def test_events_are_counted_once_each() -> None:
    metrics = LoopMetrics("flights")
    happened = replace(
        IDLE, events=(Event(NOW, "Promoted", ""), Event(NOW, "RunFailed", ""), Event(NOW, "Promoted", ""))
    )
    metrics.show(happened, None)
    metrics.show(IDLE, None)
    counts = {labels[0][1]: value for labels, value in _series(metrics, "serinus_events_total").items() if value}
    assert counts == {"Promoted": 2.0, "RunFailed": 1.0}


def test_weights_are_what_the_router_was_seen_to_do_and_go_with_their_version() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(IDLE, routing((1, 80), (2, 20)))
    assert _series(metrics, "serinus_rollout_weight") == {
        (("loop", "flights"), ("version", "1")): 80.0,
        (("loop", "flights"), ("version", "2")): 20.0,
    }
    metrics.show(IDLE, routing((2, 100)))
    assert _series(metrics, "serinus_rollout_weight") == {(("loop", "flights"), ("version", "2")): 100.0}


def test_a_routing_that_cannot_be_seen_is_no_series_rather_than_the_last_one_seen() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(IDLE, routing((1, 100)))
    metrics.show(IDLE, None)
    assert _series(metrics, "serinus_rollout_weight") == {}


def test_one_of_a_gates_four_verdicts_is_1() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(_judged(Verdict("errors", "undecided", ""), Verdict("latency", "pass", "")), None)
    metrics.show(_judged(Verdict("errors", "fail", ""), Verdict("latency", "pass", "")), None)
    shown = {(dict(k)["gate"], dict(k)["verdict"]): v for k, v in _series(metrics, "serinus_verdict").items()}
    assert shown == {
        (gate, outcome): float((gate, outcome) in {("errors", "fail"), ("latency", "pass")})
        for gate in ("errors", "latency")
        for outcome in ("pass", "fail", "undecided", "error")
    }


def test_verdicts_go_with_the_rollout_they_were_about() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(_judged(Verdict("errors", "fail", "")), None)
    metrics.show(IDLE, None)
    assert _series(metrics, "serinus_verdict") == {}


def test_drift_scores_are_the_latest_windows_and_a_look_that_saw_nothing_leaves_none() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(_drifted(temp=0.3, hour=0.01), None)
    metrics.show(_drifted(temp=0.4, carrier=0.02), None)
    assert _series(metrics, "serinus_drift_score") == {
        (("feature", "carrier"), ("loop", "flights")): 0.02,
        (("feature", "temp"), ("loop", "flights")): 0.4,
    }
    metrics.show(_drifted(), None)
    assert _series(metrics, "serinus_drift_score") == {}


def test_a_loop_without_any_memory_shows_its_events_only() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(Plan(Status("flights")), None)
    names = {family.name for family in metrics.registry.collect() if family.samples}
    assert names == {"serinus_events"}
