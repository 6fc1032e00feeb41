from __future__ import annotations

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from serinus.facts import Event, Plan
from services.operator.metrics import OperatorMetrics
from tests.unit.loop_cases import NOW, SERVING, routing


def told(metrics: OperatorMetrics) -> dict[str, float]:
    text = generate_latest(metrics.registry).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            assert (sample.name, labels) not in found, f"{sample.name} {labels} is told twice"
            found[f"{sample.name}{{{labels}}}"] = sample.value
    assert text.count("# TYPE serinus_rollout_weight gauge") <= 1
    return found


def test_many_loops_are_told_of_in_one_text_each_family_once() -> None:
    metrics = OperatorMetrics()
    for loop in ("a", "b"):
        metrics.fleet.of(loop).show(Plan(SERVING, events=(Event(NOW, "Promoted", "it is"),)), routing((1, 100)))
    found = told(metrics)
    assert found["serinus_rollout_weight{loop=a,version=1}"] == 100
    assert found["serinus_rollout_weight{loop=b,version=1}"] == 100
    assert found["serinus_events_total{event=Promoted,loop=a}"] == 1
    assert found["serinus_events_total{event=RolledBack,loop=b}"] == 0


def test_a_loops_series_go_with_it() -> None:
    metrics = OperatorMetrics()
    for loop in ("a", "b"):
        metrics.fleet.of(loop).show(Plan(SERVING), routing((1, 100)))
    metrics.fleet.forget("a")
    assert not any("loop=a" in series for series in told(metrics))
    assert any("loop=b" in series for series in told(metrics))


def test_the_operators_own_series_are_there_from_the_start() -> None:
    metrics = OperatorMetrics()
    found = told(metrics)
    assert found["serinus_operator_leader{}"] == 0
    assert found["serinus_operator_queue{}"] == 0
    assert {found[f"serinus_operator_looks_total{{result={r}}}"] for r in ("done", "incomplete", "failed")} == {0}
    metrics.answered("GET", 200)
    metrics.answered("GET", 200)
    assert told(metrics)["serinus_operator_kube_requests_total{code=200,verb=GET}"] == 2
    assert not any("_created" in series for series in told(metrics))
