"""A loop's event as Kubernetes shows it, the whole object."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from serinus.facts import Event
from serinus.render.kube_events import kube_event

LOOP = {"metadata": {"name": "flights", "namespace": "prod", "uid": "u-1"}}
EVENT = Event(datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC), "Promoted", "version 2 serves everyone", 2)


def test_an_event_says_what_happened_to_which_loop() -> None:
    made = kube_event(LOOP, EVENT)
    name = made["metadata"].pop("name")
    assert name.startswith("flights.")
    assert made == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "prod"},
        "involvedObject": {
            "apiVersion": "serinus.dev/v1alpha1", "kind": "ModelLoop", "name": "flights", "namespace": "prod",
            "uid": "u-1",
        },
        "reason": "Promoted",
        "message": "version 2 serves everyone",
        "type": "Normal",
        "firstTimestamp": "2026-03-02T12:00:05Z",
        "lastTimestamp": "2026-03-02T12:00:05Z",
        "count": 1,
        "source": {"component": "serinus-operator"},
        "reportingComponent": "serinus-operator",
        "reportingInstance": "serinus-operator",
    }  # fmt: skip


def test_told_twice_it_is_one_and_another_is_another() -> None:
    def name(event: Event) -> str:
        return str(kube_event(LOOP, event)["metadata"]["name"])

    assert name(EVENT) == name(replace(EVENT))
    others = [replace(EVENT, kind="Rejected"), replace(EVENT, message="m"), replace(EVENT, at=EVENT.at + timedelta(1))]
    assert len({name(EVENT), *map(name, others)}) == 4


@pytest.mark.parametrize(
    ("kind", "warning", "shown"),
    [("RolledBack", None, "Warning"), ("RolledBack", False, "Normal"), ("LetGo", True, "Warning")],
)
def test_what_somebody_should_look_at_is_a_warning(kind: str, warning: bool | None, shown: str) -> None:
    assert kube_event(LOOP, replace(EVENT, kind=kind), warning=warning)["type"] == shown


def test_a_message_longer_than_the_api_takes_is_cut() -> None:
    assert kube_event(LOOP, replace(EVENT, message="x" * 1024))["message"] == "x" * 1024
    assert kube_event(LOOP, replace(EVENT, message="x" * 1025))["message"] == "x" * 1021 + "..."
