"""What a driver tells Prometheus, read back as Prometheus would read it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from serinus.decide.events import KINDS
from serinus.facts import (
    DriftFinding,
    Event,
    FairnessGap,
    FeatureDrift,
    Measured,
    Plan,
    QualityFinding,
    QualityWindow,
    RunRecord,
    Status,
    Verdict,
    Window,
)
from services.metrics import LoopMetrics
from tests.unit.loop_cases import NOW, SECOND, SERVING, SPEC, arm, block, canary, next_, routing, spec, world

IDLE = Plan(SERVING)


def _series(metrics: LoopMetrics, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """The samples called `name`: labels -> value."""
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
        for sample in family.samples
        if sample.name == name
    }


def _one(metrics: LoopMetrics, name: str) -> float:
    """The value of the only sample called `name`."""
    (value,) = _series(metrics, name).values()
    return value


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


def test_a_loop_without_any_memory_shows_its_events_and_that_nobody_serves() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(Plan(Status("flights")), None, SPEC, NOW)
    names = {family.name for family in metrics.registry.collect() if family.samples}
    assert names == {"serinus_events", "serinus_champion_version"}
    assert _one(metrics, "serinus_champion_version") == 0
    metrics.show(IDLE, None, SPEC, NOW)
    assert _one(metrics, "serinus_champion_version") == 1


def test_a_failed_run_stays_failed_until_another_one_ended() -> None:
    metrics = LoopMetrics("flights")
    said = []
    for phase in ("failed", "succeeded"):
        ended = RunRecord("flights-manual-1", "manual", NOW, NOW, phase)
        metrics.show(Plan(replace(SERVING, last_run=ended)), None)
        said.append(_one(metrics, "serinus_last_run_failed"))
    assert said == [1.0, 0.0]


def test_what_cannot_be_seen_is_named_as_long_as_it_cannot() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(Plan(replace(SERVING, notices={"registry": "away", "metrics": "slow"})), None)
    metrics.show(Plan(replace(SERVING, notices={"metrics": "slow"})), None)
    assert _series(metrics, "serinus_unseen") == {(("loop", "flights"), ("subject", "metrics")): 1.0}


def test_a_step_is_due_at_its_timeout_and_only_while_there_is_a_rollout() -> None:
    metrics = LoopMetrics("flights")
    due = "serinus_rollout_step_due_timestamp_seconds"
    metrics.show(Plan(replace(SERVING, rollout=canary(step_started=NOW + SECOND))), None, SPEC, NOW)
    expected = (NOW + SECOND + SPEC.spec.rollout.step_timeout).timestamp()
    assert _series(metrics, due) == {(("loop", "flights"), ("version", "2")): expected}
    metrics.show(IDLE, None, SPEC, NOW)
    assert _series(metrics, due) == {}


def test_evidence_is_a_share_of_what_decides() -> None:
    metrics = LoopMetrics("flights")
    figures = {"log_harm": 1.0, "log_harm_needed": 4.0, "log_safe": -3.0, "log_safe_needed": 3.0}
    metrics.show(_judged(Verdict("errors", "undecided", "", figures), Verdict("server", "fail", "")), None)
    assert _series(metrics, "serinus_evidence_ratio") == {
        (("gate", "errors"), ("loop", "flights"), ("of", "harm")): 0.25,
        (("gate", "errors"), ("loop", "flights"), ("of", "safe")): -1.0,
    }


def test_the_judges_own_figures_are_shown_as_evidence() -> None:
    metrics = LoopMetrics("flights")
    seen = world(routing=routing((1, 80), (2, 20)), block=block(arm(400), arm(90)))
    metrics.show(next_(replace(SERVING, rollout=canary()), seen, NOW + 3 * SECOND), None)
    shown = {(dict(k)["gate"], dict(k)["of"]) for k in _series(metrics, "serinus_evidence_ratio")}
    assert shown == {
        (g, side) for g in ("errors", "rejections", "latency", "slowdown", "scores") for side in ("harm", "safe")
    }


def test_the_latest_windows_verdict_is_shown_beside_the_guardrails() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(_drifted(temp=0.3), None)
    shown = {(dict(k)["gate"], dict(k)["verdict"]) for k, v in _series(metrics, "serinus_verdict").items() if v}
    assert shown == {("drift", "pass")}


def test_the_drift_jobs_silence_counts_from_its_last_window_whatever_was_promoted_since() -> None:
    metrics = LoopMetrics("flights")
    looked = "serinus_drift_looked_timestamp_seconds"
    metrics.show(IDLE, None, SPEC, NOW - 9 * SECOND)
    assert _one(metrics, looked) == (NOW - 9 * SECOND).timestamp()
    metrics.show(_drifted(temp=0.3), None, SPEC, NOW - 9 * SECOND)
    metrics.show(IDLE, None, SPEC, NOW - 9 * SECOND)
    assert _one(metrics, looked) == NOW.timestamp()
    assert _one(metrics, "serinus_drift_every_seconds") == 3600


def test_a_drift_job_is_waited_for_from_the_promotion_on_and_not_from_long_before() -> None:
    metrics = LoopMetrics("flights")
    began = NOW - 5000 * SECOND
    metrics.show(Plan(Status("flights")), None, SPEC, began)
    metrics.show(replace(IDLE, events=(Event(NOW, "Promoted", ""),)), None, SPEC, began)
    metrics.show(IDLE, None, SPEC, began)
    assert _one(metrics, "serinus_drift_looked_timestamp_seconds") == NOW.timestamp()


def test_a_window_that_could_not_be_looked_at_does_not_break_the_silence() -> None:
    metrics = LoopMetrics("flights")
    blind = DriftFinding(1, Window(NOW - SECOND, NOW), 0, Verdict("drift", "error", "Prometheus is away"))
    metrics.show(Plan(replace(SERVING, drift=(blind,))), None, SPEC, NOW - 9 * SECOND)
    assert _one(metrics, "serinus_drift_looked_timestamp_seconds") == (NOW - 9 * SECOND).timestamp()


def test_a_loop_without_a_drift_job_or_a_champion_does_not_wait_for_one() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(_drifted(temp=0.3), None, spec("drift: null"), NOW)
    assert _series(metrics, "serinus_drift_looked_timestamp_seconds") == {}
    metrics.show(Plan(Status("flights")), None, SPEC, NOW)
    assert _series(metrics, "serinus_drift_every_seconds") == {}


def _looked(looked: datetime | None, outcome: str = "pass", events: tuple[Event, ...] = ()) -> Plan:
    verdict = Verdict("quality", outcome, "")  # type: ignore[arg-type]
    found = QualityFinding(
        1, "roc_auc", Window(NOW - timedelta(days=9), NOW - timedelta(days=8)), verdict, looked=looked
    )
    return Plan(replace(SERVING, quality=found), events=events)


def test_the_quality_jobs_silence_counts_from_its_last_look_however_old_the_windows_are() -> None:
    metrics = LoopMetrics("flights")
    looked = "serinus_quality_looked_timestamp_seconds"
    metrics.show(IDLE, None, JUDGED, NOW - 9 * SECOND)
    assert _one(metrics, looked) == (NOW - 9 * SECOND).timestamp()
    metrics.show(_looked(NOW - 3 * SECOND), None, JUDGED, NOW - 9 * SECOND)
    metrics.show(IDLE, None, JUDGED, NOW - 9 * SECOND)
    assert _one(metrics, looked) == (NOW - 3 * SECOND).timestamp()
    assert _one(metrics, "serinus_quality_every_seconds") == 3600
    metrics.show(replace(IDLE, events=(Event(NOW, "Promoted", ""),)), None, JUDGED, NOW - 9 * SECOND)
    assert _one(metrics, looked) == NOW.timestamp()


def test_a_quality_job_that_could_not_look_is_as_silent_as_none() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(_looked(NOW, "error"), None, JUDGED, NOW - 9 * SECOND)
    assert _one(metrics, "serinus_quality_looked_timestamp_seconds") == (NOW - 9 * SECOND).timestamp()


def test_a_finding_of_before_looks_were_noted_does_not_end_the_wait() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(_looked(None), None, JUDGED, NOW - 9 * SECOND)
    assert _one(metrics, "serinus_quality_looked_timestamp_seconds") == (NOW - 9 * SECOND).timestamp()


def test_a_loop_without_a_quality_job_or_a_champion_does_not_wait_for_one() -> None:
    metrics = LoopMetrics("flights")
    metrics.show(_looked(NOW), None, SPEC, NOW)
    assert _series(metrics, "serinus_quality_looked_timestamp_seconds") == {}
    metrics.show(Plan(Status("flights")), None, JUDGED, NOW)
    assert _series(metrics, "serinus_quality_every_seconds") == {}


def _quality(*windows: QualityWindow, outcome: str = "fail") -> Plan:
    latest = max((w.window for w in windows if w.mature), key=lambda w: w.end, default=windows[-1].window)
    verdict = Verdict("quality", outcome, "worse")  # type: ignore[arg-type]
    return Plan(replace(SERVING, quality=QualityFinding(3, "roc_auc", latest, verdict, windows)))


def _window(hour: int, labelled: int, value: float, mature: bool = True, worth: float | None = None) -> QualityWindow:
    span = Window(NOW + timedelta(hours=hour), NOW + timedelta(hours=hour + 1))
    estimated = Measured(0.9 + hour / 100, 0.01, 0.88, 0.92, 100)
    measured = Measured(value, 0.01, value - 0.02, value + 0.02, labelled)
    return QualityWindow(span, 200, labelled, mature, measured, estimated, worth=worth)


JUDGED = spec("collect: {}\n  quality: {minShare: 0.4}")


def test_quality_is_that_of_the_latest_window_whose_labels_had_their_time_and_the_estimate_that_of_the_latest() -> None:
    metrics = LoopMetrics("flights")
    plan = _quality(_window(1, 150, 0.8), _window(2, 100, 0.7, worth=-20.0), _window(3, 5, 0.2, mature=False))
    metrics.show(plan, None, JUDGED)
    values = {
        (dict(labels)["metric"], dict(labels)["of"]): value
        for labels, value in _series(metrics, "serinus_quality").items()
    }
    assert values == {
        ("roc_auc", "value"): 0.7, ("roc_auc", "low"): pytest.approx(0.68), ("roc_auc", "high"): pytest.approx(0.72),
        ("accuracy", "estimated"): pytest.approx(0.93),
    }  # fmt: skip
    assert _one(metrics, "serinus_labelled_share") == 0.5
    assert _one(metrics, "serinus_labelled_share_needed") == 0.4
    assert _one(metrics, "serinus_worth") == -20
    gates = {
        (dict(labels)["gate"], dict(labels)["verdict"])
        for labels, value in _series(metrics, "serinus_verdict").items()
        if value
    }
    assert gates == {("production", "fail")}
    metrics.show(plan, None, spec("collect: {}"))
    for name in ("serinus_quality", "serinus_labelled_share", "serinus_labelled_share_needed", "serinus_worth"):
        assert _series(metrics, name) == {}


def test_a_canarys_guardrail_and_production_are_two_gates() -> None:
    metrics = LoopMetrics("flights")
    plan = _quality(_window(1, 150, 0.8), outcome="pass")
    guarded = replace(plan.status, rollout=canary(verdicts=(Verdict("quality", "undecided", ""),)))
    metrics.show(replace(plan, status=guarded), None, JUDGED)
    shown = {dict(labels)["gate"] for labels, value in _series(metrics, "serinus_verdict").items() if value}
    assert shown == {"quality", "production"}


def test_how_differently_groups_were_treated_stands_beside_what_is_allowed() -> None:
    metrics, plan = LoopMetrics("flights"), _quality(_window(1, 150, 0.8))
    assert plan.status.quality is not None
    gaps = (FairnessGap("origin", "equalOpportunity", 0.2, 0.05, 0.4, {}, {}),)
    told = replace(plan, status=replace(plan.status, quality=replace(plan.status.quality, fairness=gaps)))
    asked = spec("collect: {}\n  quality: {}").spec.validation.model_dump(by_alias=True, exclude_unset=True)
    fair = {**asked, "fairness": {"groups": ["origin"], "metric": "equalOpportunity", "maxGap": 0.1}}
    judged = JUDGED.spec.model_copy(update={"validation": type(JUDGED.spec.validation).model_validate(fair)})
    metrics.show(told, None, JUDGED.model_copy(update={"spec": judged}))
    assert {
        (dict(labels)["version"], dict(labels)["column"], dict(labels)["metric"], dict(labels)["of"]): value
        for labels, value in _series(metrics, "serinus_fairness_gap").items()
    } == {("3", "origin", "equalOpportunity", of): v for of, v in (("value", 0.2), ("low", 0.05), ("high", 0.4))}
    assert _one(metrics, "serinus_fairness_gap_allowed") == 0.1
    metrics.show(told, None, JUDGED)
    assert _series(metrics, "serinus_fairness_gap") == _series(metrics, "serinus_fairness_gap_allowed") == {}
