"""A real Envoy that keeps every user with one of two versions."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serinus.facts import Routing, Sticky, Variant
from tests.servers.envoy import envoy, predictors
from tests.servers.envoy_loop import Local
from tests.servers.load import PATH

USERS = 400


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with predictors() as servers, envoy(tmp_path / "envoy") as running:
        yield Local(running, servers)


def split(local: Local, percent: int, sticky: Sticky) -> None:
    """Have so many of the users answered by version 2, the others by version 1."""
    local.settle(Routing((Variant(1, 100 - percent), Variant(2, percent)), sticky))


def answered(local: Local, *headers: dict[str, str]) -> list[int]:
    """Which version answers each of these requests, one connection for all."""
    connection = http.client.HTTPConnection("127.0.0.1", local.envoy.port, timeout=10)
    versions = []
    for each in headers:
        connection.request("POST", PATH, b"{}", {"content-type": "application/json", **each})
        response = connection.getresponse()
        response.read()
        assert response.status == http.client.OK
        versions.append(int(response.getheader("x-serinus-version", "0")))
    connection.close()
    return versions


@pytest.mark.parametrize(
    ("sticky", "user"),
    [
        (Sticky("header", "x-user-id"), lambda number: {"x-user-id": f"user-{number}"}),
        (Sticky("cookie", "sid"), lambda number: {"cookie": f"theme=dark; sid={number:08x}"}),
    ],
    ids=["header", "cookie"],
)
@pytest.mark.parametrize("percent", [20, 50])
def test_a_user_gets_the_same_version_each_time_and_versions_get_their_share_of_users(
    local: Local, percent: int, sticky: Sticky, user: Callable[[int], dict[str, str]]
) -> None:
    split(local, percent, sticky)
    asked = [user(number) for number in range(USERS)]
    first = answered(local, *asked)
    assert answered(local, *reversed(asked)) == first[::-1]
    share = percent / 100
    assert abs(first.count(2) / USERS - share) < 5 * (share * (1 - share) / USERS) ** 0.5


def test_who_cannot_be_told_apart_is_answered_by_either_version(local: Local) -> None:
    split(local, 50, Sticky("header", "x-user-id"))
    counts = Counter(answered(local, *[{}] * 100))
    assert min(counts[1], counts[2]) > 20


def test_when_the_new_version_dies_its_users_are_answered_by_the_other(local: Local) -> None:
    sticky = Sticky("header", "x-user-id")
    split(local, 50, sticky)
    asked = [{"x-user-id": f"user-{number}"} for number in range(50)]
    assert set(answered(local, *asked)) == {1, 2}
    local.servers.broken.add(2)
    local.servers.kill(2)
    assert set(answered(local, *asked)) == {1}
