"""The audit trail of a cluster: the operator hands a loop's events to the collector, with the loop's namespace."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

import pytest

from serinus.adapters.fakes.ledger import FakeLedger
from serinus.adapters.kube import Kube
from serinus.facts import Event
from services.operator.wiring import ClusterWiring, Current
from services.platform import Platform
from services.trail import Trail
from tests.servers.mlflow import free_port
from tests.unit.cli_state import answering

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVENT = Event(NOW, "Approved", "ann let version 2 in", 2, by="ann")
PORT = free_port()


@pytest.fixture
def trail() -> Iterator[Trail]:
    """The trail of prod/flights."""
    platform = Platform("http://mlflow", "http://prometheus", "http://kfp", collector_url=f"http://127.0.0.1:{PORT}")
    wiring = ClusterWiring(platform, cast(Kube, None), lambda _namespace, _loop: ())
    found = wiring.ports("prod", "flights", Current()).trail
    assert found is not None
    yield found
    wiring.close()


def test_events_go_to_the_collector_with_the_loops_namespace(trail: Trail) -> None:
    with answering(PORT, 200, b'{"appended": 1}') as asked:
        assert trail.keep("flights", [EVENT], FakeLedger()) == ""
    ((path, body),) = asked
    (told,) = cast(dict[str, list[dict[str, object]]], body)["deeds"]
    assert path == "/audit?namespace=prod"  # a right there alone is enough
    assert (told["namespace"], told["loop"], told["by"], told["version"]) == ("prod", "flights", "ann", 2)


def test_a_collector_that_is_away_is_said_and_not_asked_again_at_once(trail: Trail) -> None:
    first = trail.keep("flights", [EVENT], FakeLedger())
    assert "127.0.0.1" in first
    assert first.endswith("what happens is in the loop's history and is added later")
    with answering(PORT, 200, b'{"appended": 1}') as asked:
        assert trail.keep("flights", [], FakeLedger()) == first
    assert asked == []


def test_an_installation_without_a_collector_keeps_no_trail() -> None:
    platform = Platform("http://mlflow", "http://prometheus", "http://kfp")
    wiring = ClusterWiring(platform, cast(Kube, None), lambda _namespace, _loop: ())
    assert wiring.ports("prod", "flights", Current()).trail is None
    wiring.close()
