"""What `kubectl get` shows of a loop, at every turn of its life."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from serinus.facts import (
    Change,
    DriftFinding,
    Event,
    FeatureDrift,
    Measured,
    QualityFinding,
    QualityWindow,
    RoutingState,
    RunRecord,
    Shift,
    Status,
    VariantState,
    Verdict,
    Watch,
    Why,
    Window,
)
from serinus.render import crd
from serinus.render.status import refused, view
from serinus.spec import ModelLoop
from tests.unit.loop_cases import EMPTY, NOW, SPEC, canary, routing, spec

MINUTE = timedelta(minutes=1)
SERVING = replace(EMPTY, champion=1)
ALONE = routing((1, 100))
APPROVED = spec("approval: required")
HOLDING = spec(rollout="onTimeout: hold")


def show(status: Status, seen: RoutingState | None = ALONE, loop: ModelLoop = SPEC, **more: Any) -> dict[str, Any]:
    return view(loop, 3, status, seen, more.pop("now", NOW), address="flights.ns.models.local", **more)


def reason(shown: dict[str, Any], kind: str) -> tuple[str, str, str]:
    """Status, reason and message of one condition."""
    found = next(c for c in shown["conditions"] if c["type"] == kind)
    return found["status"], found["reason"], found["message"]


def finding(outcome: str, *features: FeatureDrift) -> DriftFinding:
    return DriftFinding(1, Window(NOW, NOW), 700, Verdict("drift", outcome, ""), features)  # type: ignore[arg-type]


def verdict(gate: str, outcome: str) -> Verdict:
    return Verdict(gate, outcome, "")  # type: ignore[arg-type]


def test_a_loop_at_rest_is_shown_whole() -> None:
    last = RunRecord("flights-drift-1", "drift", NOW - MINUTE, NOW, "succeeded", version=1)
    temp, hour = FeatureDrift("temp", 0.001, 0.314, True), FeatureDrift("hour", 0.001, 0.2, True)
    status = replace(SERVING, last_run=last, drift=(finding("pass"), finding("fail", hour, temp)))
    at = {"observedGeneration": 3, "lastTransitionTime": "2026-03-02T12:00:00Z"}
    assert show(status) == {
        "observedGeneration": 3,
        "champion": 1,
        "canary": None,
        "weight": None,
        "verdict": None,
        "drift": "fail (temp psi 0.31)",
        "quality": "off",
        "lastRun": "drift succeeded 2026-03-02T12:00:00Z",
        "address": "flights.ns.models.local",
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Serving", "message": "version 1 serves", **at},
            {
                "type": "Progressing",
                "status": "False",
                "reason": "Settled",
                "message": "nothing is under way",
                **at,
            },
            {"type": "Degraded", "status": "False", "reason": "AsExpected", "message": "nothing is wrong", **at},
        ],
    }


def test_a_rollout_is_shown_whole() -> None:
    status = replace(SERVING, rollout=canary(verdicts=(verdict("errors", "undecided"), verdict("latency", "pass"))))
    shown = show(status, routing((1, 80), (2, 20)))
    assert {key: shown[key] for key in ("champion", "canary", "weight", "verdict")} == {
        "champion": 1,
        "canary": 2,
        "weight": 20,
        "verdict": "errors: undecided",
    }
    assert reason(shown, "Ready") == ("True", "Serving", "version 1 and version 2 serve")
    assert reason(shown, "Progressing") == ("True", "RollingOut", "version 2 is on trial, step 1 of 2")
    assert reason(shown, "Degraded")[0] == "False"


def test_every_field_of_the_view_is_one_of_the_status_and_every_one_of_the_operators_is_shown() -> None:
    known = crd.model_loop()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    shown = show(SERVING)
    assert shown.keys() == known.keys() - {"revision", "memory", "history"}
    assert refused("InvalidSpec", "why", 3, NOW).keys() <= known.keys()
    assert all(c.keys() == known["conditions"]["items"]["properties"].keys() for c in shown["conditions"])


@pytest.mark.parametrize(
    ("status", "seen", "expected"),
    [
        (EMPTY, RoutingState(), ("False", "NoVersion", "no version was let in yet")),
        (SERVING, None, ("Unknown", "CannotSee", "who serves cannot be seen: it did not answer")),
        (
            replace(SERVING, notices={"router": "connection refused"}),
            None,
            ("Unknown", "CannotSee", "who serves cannot be seen: connection refused"),
        ),
        (SERVING, RoutingState(), ("False", "NotServing", "version 1 should serve and gets no traffic")),
        (SERVING, routing((1, 100), unready=(1,)), ("False", "NotServing", "version 1 gets 100 % and is not ready")),
        (
            SERVING,
            RoutingState((VariantState(1, True, 80), VariantState(2, False, 20, "it crashes"))),
            ("False", "NotServing", "version 2 gets 20 % and is not ready: it crashes"),
        ),
        (replace(EMPTY, rollout=canary(stable=None)), routing((2, 100)), ("True", "Serving", "version 2 serves")),
        (SERVING, routing((1, 100), (2, 0), unready=(2,)), ("True", "Serving", "version 1 serves")),
    ],
)
def test_a_loop_is_ready_when_whoever_should_answer_can(
    status: Status, seen: RoutingState | None, expected: tuple[str, str, str]
) -> None:
    assert reason(show(status, seen), "Ready") == expected
    assert (reason(show(status, seen), "Degraded")[1] == "NotServing") == (expected[1] == "NotServing")


def test_the_feature_that_matters_most_stands_in_the_column_and_not_the_one_that_moved_most() -> None:
    used = FeatureDrift("temp", 0.001, 0.2, True, Shift(0.2, sd=0.84, importance=0.6))
    unused = FeatureDrift("dew", 0.001, 0.9, True, Shift(0.5, sd=2.0, importance=0.0, used=False))
    status = replace(SERVING, drift=(finding("fail", unused, used),))
    assert show(status)["drift"] == "fail (temp psi 0.20, mean +0.84 sd)"
    place = replace(used, shift=Shift(0.2, largest="JFK 30 % to 51 %"))
    assert show(replace(SERVING, drift=(finding("fail", place),)))["drift"] == "fail (temp psi 0.20)"


@pytest.mark.parametrize(
    ("status", "loop", "why", "message"),
    [
        (replace(SERVING, rollout=canary(step=-1)), SPEC, "RollingOut", "version 2 gets ready"),
        (replace(SERVING, waiting=2), SPEC, "VersionWaiting", "version 2 comes next"),
        (replace(SERVING, waiting=2), APPROVED, "AwaitingApproval", "version 2 waits for a person's approval"),
        (replace(SERVING, waiting=2, approved=2), APPROVED, "VersionWaiting", "version 2 comes next"),
        (
            replace(SERVING, run=RunRecord("flights-manual-1", "manual", NOW)),
            SPEC,
            "Running",
            "run flights-manual-1 (manual) is pending",
        ),
        (
            replace(SERVING, run=RunRecord("flights-drift-1", "drift", NOW, why=Why("temp drifted"))),
            SPEC,
            "Running",
            "run flights-drift-1 (drift) is pending: temp drifted",
        ),
        (
            replace(SERVING, watch=Watch(1, NOW + MINUTE, NOW)),
            SPEC,
            "Watching",
            "version 1 is watched until 2026-03-02T12:01:00Z",
        ),
        (
            replace(SERVING, champion=2, previous=1, watch=Watch(2, NOW + MINUTE, NOW, held=20)),
            SPEC,
            "Watching",
            "version 2 is watched until 2026-03-02T12:01:00Z, beside version 1 with 20 % of the traffic",
        ),
        (
            replace(SERVING, rollout=canary(), run=RunRecord("flights-drift-1", "drift", NOW, phase="running")),
            SPEC,
            "RollingOut",
            "version 2 is on trial, step 1 of 2; run flights-drift-1 (drift) is running",
        ),
    ],
)
def test_what_is_under_way_is_progress(status: Status, loop: ModelLoop, why: str, message: str) -> None:
    assert reason(show(status, loop=loop), "Progressing") == ("True", why, message)


FAILED = RunRecord("flights-drift-1", "drift", NOW, NOW, "failed", "validate: no better than version 1")


@pytest.mark.parametrize(
    ("status", "loop", "more", "why", "message"),
    [
        (
            replace(SERVING, notices={"metrics": "Prometheus is away"}),
            SPEC,
            {"troubles": {"drift job": "no right"}},
            "PartUnavailable",
            "drift job: no right; metrics: Prometheus is away",
        ),
        (
            replace(SERVING, last_run=FAILED),
            SPEC,
            {},
            "RunFailed",
            "run flights-drift-1 failed: validate: no better than version 1",
        ),
        (
            replace(SERVING, last_run=replace(FAILED, reason="")),
            SPEC,
            {},
            "RunFailed",
            "run flights-drift-1 failed: it did not say why",
        ),
        (
            replace(SERVING, rollout=canary()),
            HOLDING,
            {"now": NOW + 2 * MINUTE},
            "RolloutHeld",
            "version 2 has not convinced since 2026-03-02T12:01:00Z; weights hold",
        ),
        (
            replace(SERVING, last_run=FAILED),
            SPEC,
            {"history": (Event(NOW, "RolledBack", "version 2 made more errors"), Event(NOW, "RunFailed", "…"))},
            "RolledBack",
            "version 2 made more errors; run flights-drift-1 failed: validate: no better than version 1",
        ),
        (
            SERVING,
            SPEC,
            {"history": (Event(NOW, "Promoted", "…"), Event(NOW, "BroughtBack", "version 1 serves again"))},
            "RolledBack",
            "version 1 serves again",
        ),
    ],
)
def test_what_is_wrong_degrades_a_loop(
    status: Status, loop: ModelLoop, more: dict[str, Any], why: str, message: str
) -> None:
    assert reason(show(status, loop=loop, **more), "Degraded") == ("True", why, message)


@pytest.mark.parametrize(
    ("status", "loop", "more"),
    [
        (replace(SERVING, rollout=canary()), HOLDING, {"now": NOW + MINUTE}),
        (replace(SERVING, rollout=canary(step=-1)), HOLDING, {"now": NOW + 2 * MINUTE}),
        (replace(SERVING, rollout=canary()), SPEC, {"now": NOW + 2 * MINUTE}),
        (SERVING, SPEC, {"history": (Event(NOW, "RolledBack", "…"), Event(NOW, "RolloutStarted", "…"))}),
        (SERVING, SPEC, {"history": (Event(NOW, "RolledBack", "…"), Event(NOW, "Promoted", "…"))}),
    ],
)
def test_what_is_over_or_in_time_degrades_nothing(status: Status, loop: ModelLoop, more: dict[str, Any]) -> None:
    assert reason(show(status, loop=loop, **more), "Degraded") == ("False", "AsExpected", "nothing is wrong")


@pytest.mark.parametrize(
    ("verdicts", "shown"),
    [
        ((), "undecided"),
        ((verdict("errors", "pass"),), "errors: pass"),
        ((verdict("errors", "pass"), verdict("latency", "pass")), "pass"),
        ((verdict("errors", "error"), verdict("latency", "fail")), "latency: fail"),
        (
            (verdict("errors", "error"), verdict("latency", "error"), verdict("rejections", "pass")),
            "errors, latency: error",
        ),
    ],
)
def test_the_worst_guardrails_are_the_verdict(verdicts: tuple[Verdict, ...], shown: str) -> None:
    assert show(replace(SERVING, rollout=canary(verdicts=verdicts)))["verdict"] == shown


def test_without_a_trial_the_verdict_says_what_is_waited_for() -> None:
    assert show(replace(SERVING, rollout=canary(step=-1)))["verdict"] == "getting ready"
    assert show(replace(SERVING, waiting=2), loop=APPROVED)["verdict"] == "v2 needs approval"
    assert show(replace(SERVING, waiting=2))["verdict"] is None
    assert show(replace(SERVING, watch=Watch(1, NOW, NOW)))["verdict"] == "watching v1"


def test_a_weight_is_what_the_canary_really_gets() -> None:
    status = replace(SERVING, rollout=canary())
    assert show(status, routing((1, 95), (2, 5)))["weight"] == 5
    assert show(status, ALONE)["weight"] == 0
    assert show(status, None)["weight"] is None


def test_drift_is_the_latest_window_or_off() -> None:
    assert show(SERVING)["drift"] is None
    assert show(replace(SERVING, drift=(finding("fail"), finding("undecided"))))["drift"] == "undecided"
    assert show(SERVING, loop=spec("drift: null"))["drift"] == "off"


def test_a_run_in_flight_stands_before_the_last_one() -> None:
    run = RunRecord("flights-manual-2", "manual", NOW, phase="running")
    assert show(replace(SERVING, run=run, last_run=FAILED))["lastRun"] == "manual running 2026-03-02T12:00:00Z"
    assert show(SERVING)["lastRun"] is None


def test_a_transition_has_its_time_and_what_stays_keeps_its_own() -> None:
    before = show(SERVING)["conditions"]
    foreign = {"type": "Blessed", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    shown = show(replace(SERVING, rollout=canary()), now=NOW + MINUTE, conditions=[*before, foreign])
    times = {c["type"]: c["lastTransitionTime"] for c in shown["conditions"]}
    assert times == {
        "Ready": "2026-03-02T12:00:00Z",
        "Progressing": "2026-03-02T12:01:00Z",
        "Degraded": "2026-03-02T12:00:00Z",
        "Blessed": "2020-01-01T00:00:00Z",
    }
    again = show(replace(SERVING, rollout=canary()), now=NOW + 2 * MINUTE, conditions=shown["conditions"])
    assert again == shown


def test_a_spec_that_is_not_in_force_leaves_the_rest_as_it_was() -> None:
    at = {"observedGeneration": 4, "reason": "NameTaken", "message": "another loop has this name"}
    now = "2026-03-02T12:01:00Z"
    assert refused("NameTaken", "another loop has this name", 4, NOW + MINUTE, show(SERVING)["conditions"]) == {
        "observedGeneration": 4,
        "conditions": [
            {"type": "Ready", "status": "False", **at, "lastTransitionTime": now},
            {"type": "Progressing", "status": "False", **at, "lastTransitionTime": "2026-03-02T12:00:00Z"},
            {"type": "Degraded", "status": "True", **at, "lastTransitionTime": now},
        ],
    }


def test_a_message_is_short_and_the_same_at_every_look() -> None:
    long = show(SERVING, troubles={"registry": "x" * 5000})
    message = reason(long, "Degraded")[2]
    assert (len(message), message[-1]) == (2000, "…")
    for address in ("0x7f16de865710", "0x7f16de86aaaa"):
        shown = show(SERVING, troubles={"metrics": f"<Connection object at {address}>: refused"})
        assert reason(shown, "Degraded")[2] == "metrics: <Connection object>: refused"


def test_quality_is_shown_with_its_figure_and_what_changed() -> None:
    judged = spec("collect: {}\n  quality: {}")
    window, later = Window(NOW - MINUTE, NOW), Window(NOW, NOW + MINUTE)
    measured = QualityWindow(window, 900, 800, mature=True, measured=Measured(0.6123, 0.01, 0.59, 0.63, 800))
    immature = QualityWindow(later, 900, 10, mature=False, measured=None)
    found = QualityFinding(1, "roc_auc", window, verdict("quality", "pass"), (measured, immature))
    assert show(replace(SERVING, quality=found), loop=judged)["quality"] == "pass (roc_auc 0.612)"
    fell = replace(found, verdict=verdict("quality", "fail"), change=Change("concept", 0.1, 0.0, 0.01, "it is"))
    assert show(replace(SERVING, quality=fell), loop=judged)["quality"] == "fail (roc_auc 0.612, concept)"
    bare = replace(found, window=later, verdict=verdict("quality", "undecided"))
    assert show(replace(SERVING, quality=bare), loop=judged)["quality"] == "undecided"
    assert show(replace(SERVING, champion=2, quality=found), loop=judged)["quality"] is None
    assert show(SERVING, loop=judged)["quality"] is None
