"""What is asked of a loop as objects of Kubernetes and back, and its history as an array of its status."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from serinus import wire
from serinus.adapters.kube import LOOP_REQUESTS, MODEL_APPROVALS, Object
from serinus.adapters.kube_history import BYTES, EVENTS, added, event_of
from serinus.adapters.kube_requests import object_of, request_of
from serinus.facts import (
    Change,
    DriftFinding,
    Event,
    FeatureDrift,
    Measured,
    QualityFinding,
    QualityWindow,
    Request,
    Verdict,
    Window,
)
from serinus.render import names

NOW = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
MADE = datetime(2026, 3, 2, 12, 0, 1, tzinfo=UTC)
FINDING = DriftFinding(
    3,
    Window(NOW - timedelta(hours=1), NOW),
    1820,
    Verdict("drift", "fail", "temp drifted", {"psi_bound": 0.1}),
    (FeatureDrift("temp", 1e-9, 0.31, True),),
)
LABELS = {
    "app.kubernetes.io/managed-by": "serinus",
    "app.kubernetes.io/part-of": "serinus",
    "serinus.dev/loop": "flights",
}


def stored(item: Object) -> Object:
    """As the API server gives it back."""
    made: Object = json.loads(json.dumps(item))
    made["metadata"] |= {"uid": "u-1", "creationTimestamp": "2026-03-02T12:00:01Z"}
    return made


def test_a_drift_finding_becomes_a_loop_request_that_goes_with_its_loop() -> None:
    asked = Request("drift-3-x", "drift", NOW, "drift job", 3, "two of five", FINDING, "flights-drift-x")
    kind, made = object_of("flights", asked, "system:serviceaccount:air:flights-drift", "uid-of-the-loop")
    assert kind == LOOP_REQUESTS
    assert made == {
        "apiVersion": "serinus.dev/v1alpha1",
        "kind": "LoopRequest",
        "metadata": {
            "name": names.request("flights", "drift-3-x"),
            "labels": LABELS,
            "ownerReferences": [
                {"apiVersion": "serinus.dev/v1alpha1", "kind": "ModelLoop", "name": "flights", "uid": "uid-of-the-loop"}
            ],
        },
        "spec": {
            "loop": "flights",
            "id": "drift-3-x",
            "kind": "drift",
            "by": "system:serviceaccount:air:flights-drift",
            "at": "2026-03-02T12:00:00.123456+00:00",
            "version": 3,
            "reason": "two of five",
            "run": "flights-drift-x",
            "finding": json.loads(wire.dump(FINDING)),
        },
    }
    assert request_of(stored(made)) == replace(asked, by="system:serviceaccount:air:flights-drift")


def test_what_was_found_of_quality_and_of_new_data_travels_whole() -> None:
    day = Window(NOW - timedelta(days=1), NOW)
    windows = (QualityWindow(day, 900, 700, True, Measured(0.7, 0.01, 0.68, 0.72, 700), worth=12.5),)
    change = Change("concept", 0.1, 0.0, 0.02, "the same inputs")
    found = QualityFinding(3, "accuracy", day, Verdict("quality", "fail", "worse", {"value": 0.7}), windows, change)
    for asked in (
        Request("quality-3-x", "quality", NOW, "quality job", 3, quality=found),
        Request("data-3-x", "data", NOW, "intake", 3, rows=0, learned=41_000, pulled=MADE),
    ):
        kind, made = object_of("flights", asked, asked.by, "uid-of-the-loop")
        assert kind == LOOP_REQUESTS
        assert request_of(stored(made)) == asked
    made["spec"] |= {"kind": "quality", "quality": {"version": "three"}}
    assert request_of(stored(made)).quality is None


def test_a_decision_becomes_a_model_approval_that_belongs_to_nobody() -> None:
    asked = Request("mine", "reject", NOW, "ada", 4, "not on a Friday")
    kind, made = object_of("flights", asked, "ada@example.com", "uid-of-the-loop")
    assert kind == MODEL_APPROVALS
    assert made == {
        "apiVersion": "serinus.dev/v1alpha1",
        "kind": "ModelApproval",
        "metadata": {"name": names.request("flights", "mine"), "labels": LABELS},
        "spec": {
            "loop": "flights",
            "version": 4,
            "decision": "reject",
            "reason": "not on a Friday",
            "approver": "ada@example.com",
        },
    }
    assert request_of(stored(made)) == Request("u-1", "reject", MADE, "ada@example.com", 4, "not on a Friday")


def test_what_is_not_said_is_left_out() -> None:
    _, made = object_of("flights", Request("r", "run", NOW, "ada"), "ada", "u")
    assert set(made["spec"]) == {"loop", "id", "kind", "by", "at"}


def test_the_time_of_asking_keeps_its_moment_in_any_zone() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    _, made = object_of("flights", Request("r", "run", there, "ada"), "ada", "u")
    assert request_of(stored(made)).at == NOW


@pytest.mark.parametrize("at", ["yesterday", "2026-03-02T12:00:00", None])
def test_a_time_that_is_none_is_when_the_object_was_made(at: str | None) -> None:
    _, made = object_of("flights", Request("r", "run", NOW, "ada"), "ada", "u")
    made["spec"]["at"] = at
    assert request_of(stored(made)).at == MADE


def test_names_of_requests_are_stable_short_and_different() -> None:
    assert names.request("flights", "a") == "flights-ca978112ca1bbdca"
    made = {names.request("flights", text) for text in ("", "a", "b", "ü " * 500, "../..")}
    assert len(made) == 5
    assert max(len(name) for name in made) == len("flights-") + 16


# --- history ---------------------------------------------------------------------------------------------------------


def event(number: int, message: str = "") -> Event:
    return Event(NOW + timedelta(seconds=number), "Promoted", message or str(number), number, {"rate": 0.1})


def test_history_is_the_latest_events_oldest_first() -> None:
    history = added([], [event(n) for n in range(EVENTS)])
    assert [event_of(item) for item in history] == [event(n) for n in range(EVENTS)]
    history = added(history, [event(EVENTS), event(EVENTS + 1)])
    assert [event_of(item).version for item in history] == list(range(2, EVENTS + 2))
    assert added(history, []) == history


def test_an_event_of_no_version_has_none() -> None:
    (item,) = added([], [replace(event(1), version=None)])
    assert "version" not in item
    assert event_of(item).version is None


def test_history_is_bounded_in_bytes_and_keeps_the_latest_event_whatever_its_size() -> None:
    history = added([], [event(n, "long " * 300) for n in range(EVENTS)])
    assert BYTES // 2 < len(json.dumps(history)) <= BYTES + EVENTS * 2
    huge = replace(event(7), figures={f"figure-{n}": float(n) for n in range(10_000)})
    assert [event_of(item) for item in added(history, [huge])] == [huge]


def test_a_long_message_is_cut_where_one_can_see_it() -> None:
    (item,) = added([], [event(1, "x" * 5000)])
    assert item["message"] == "x" * 1999 + "…"


def test_who_asked_for_it_is_in_the_history() -> None:
    (item,) = added([], [replace(event(1), by="ann")])
    assert event_of(item).by == "ann"
    (item,) = added([], [event(1)])
    assert "by" not in item
    assert event_of(item).by == ""
