"""A real Envoy that copies requests to a version whose answers nobody gets."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serinus.facts import Routing, Variant
from tests.servers.envoy import envoy, predictors, until
from tests.servers.envoy_loop import LOOP, Local, collect, report
from tests.servers.load import PATH, ask, load


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with predictors() as servers, envoy(tmp_path / "envoy") as running:
        yield Local(running, servers)


def copy(local: Local, percent: int) -> None:
    """Have version 1 answer everybody, and version 2 get copies."""
    local.settle(Routing((Variant(1, 100), Variant(2, 0, percent))))


@pytest.mark.parametrize("percent", [30, 100])
def test_everybody_is_answered_by_stable_and_the_share_that_is_asked_for_is_copied(local: Local, percent: int) -> None:
    copy(local, percent)
    with load(local.envoy.port) as got:
        collect(got, 500)
    report(f"copies of {percent} %", got)
    assert {a.version for a in got.answers} == {1}
    assert local.servers.asked(1) == len(got.answers)
    assert local.servers.asked(1, "copies") == 0
    until(lambda: local.servers.asked(2, "copies") == local.servers.asked(2), "all that it was asked were copies")
    share = local.servers.asked(2) / len(got.answers)
    assert abs(share - percent / 100) < 5 * (percent / 100 * (1 - percent / 100) / len(got.answers)) ** 0.5 + 0.03


def test_a_shadow_that_fails_hangs_or_dies_is_felt_by_nobody(local: Local) -> None:
    copy(local, 100)
    connection = http.client.HTTPConnection("127.0.0.1", local.envoy.port, timeout=10)
    with load(local.envoy.port) as got:
        collect(got, 100)
        local.servers.kill(2)
        before = local.servers.asked(1)
        seen = len(collect(got, 300))
        assert ask(connection).version == 1
    report("a shadow killed under copies", got)
    assert local.servers.asked(1, "copies") == 0, "nobody takes a dead shadow's copies"
    assert local.servers.asked(1) >= before + seen
    connection.close()


def test_when_stable_dies_its_callers_are_told_and_not_answered_by_the_shadow(local: Local) -> None:
    copy(local, 100)
    local.servers.broken.add(1)
    local.servers.kill(1)
    connection = http.client.HTTPConnection("127.0.0.1", local.envoy.port, timeout=10)
    for _ in range(5):
        local.router.apply(LOOP, Routing((Variant(1, 100), Variant(2, 0, 100))))
        connection.request("POST", PATH, b"{}", {"content-type": "application/json"})
        response = connection.getresponse()
        assert (response.status, response.read()) == (http.client.SERVICE_UNAVAILABLE, b"no healthy upstream")
    connection.close()


def test_a_promoted_shadow_answers_everybody_and_is_sent_no_copies_any_more(local: Local) -> None:
    copy(local, 100)
    with load(local.envoy.port) as got:
        collect(got, 100)
        local.reach((1, 0), (2, 100))
        copies = local.servers.asked(2, "copies")
        answers = collect(got, 200)
    report("a shadow promoted", got)
    assert {a.version for a in answers} == {2}
    assert local.servers.asked(2, "copies") <= copies + 8, "the eight that were under way"


def test_a_caller_cannot_pass_for_a_copy(local: Local) -> None:
    local.reach((1, 100))
    for host, status in (("flights-shadow", 400), ("flights-shadow:80", 400), ("flights", 200)):
        connection = http.client.HTTPConnection("127.0.0.1", local.envoy.port, timeout=10)
        connection.request("POST", PATH, b"{}", {"content-type": "application/json", "host": host})
        response = connection.getresponse()
        said = json.loads(response.read())
        assert response.status == status, said
        connection.close()
    assert local.servers.asked(1) == 1
