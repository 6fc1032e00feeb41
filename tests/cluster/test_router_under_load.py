"""What callers notice of a KServe router's work: nothing, while the servers they are sent to live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from serinus.adapters.kube import DEPLOYMENTS, HPAS, HTTP_ROUTES, INFERENCE_SERVICES, PODS, SERVICES, Kind, Object
from tests.cluster.driving import Driving, driving, kinds, span
from tests.cluster.serving import Serving, serving
from tests.servers.callers import Calls, calls_at

RATE = 100.0
REPLICA_SETS = Kind("apps/v1", "replicasets", "ReplicaSet")
OURS = {"serinus.dev/loop": "flights"}


@dataclass
class Scene:
    place: Serving
    driver: Driving

    def under_load(self, act: Callable[[], object]) -> Calls:
        """What callers got from a second before until two seconds after."""
        with calls_at(self.place.door, [{"a": 1}], RATE, callers=8) as got:
            _pass(1.0)
            act()
            _pass(2.0)
        return got

    def one(self, version: int) -> Object:
        """A pod of the version that stays."""
        return next(pod for pod in self.place.pods(version) if "deletionTimestamp" not in pod["metadata"])


def _pass(seconds: float) -> None:
    """Let callers call for a while: it is the load that takes this time."""
    time.sleep(seconds)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with serving() as place, driving(place) as driver:
        driver.wants((1, 100))
        yield Scene(place, driver)


def test_nobody_notices_a_canary_that_comes_takes_over_and_the_old_version_that_goes(scene: Scene) -> None:
    scene.driver.wants((1, 100))
    got = scene.under_load(lambda: scene.driver.wants((1, 100), (2, 0)))
    assert (kinds(got.answers), set(got.by_version())) == ({}, {1})
    for shares in (((1, 80), (2, 20)), ((1, 50), (2, 50)), ((1, 0), (2, 100))):
        got = scene.under_load(lambda shares=shares: scene.driver.wants(*shares))  # type: ignore[misc]
        assert kinds(got.answers) == {}
    assert set(got.by_version(time.monotonic() - 1.0)) == {2}
    got = scene.under_load(lambda: scene.driver.wants((2, 100)))
    assert (kinds(got.answers), set(got.by_version())) == ({}, {2})


def test_a_share_is_what_callers_get_of_a_version(scene: Scene) -> None:
    scene.driver.wants((2, 80), (3, 20))
    got = scene.under_load(lambda: _pass(6.0))
    count, whole = got.by_version()[3], len(got.answers)
    assert kinds(got.answers) == {}
    assert abs(count - 0.2 * whole) <= 5 * (0.16 * whole) ** 0.5  # five standard deviations


def test_nobody_notices_a_roll_back(scene: Scene) -> None:
    scene.driver.wants((2, 50), (3, 50))
    got = scene.under_load(lambda: scene.driver.wants((2, 100)))
    assert kinds(got.answers) == {}


def test_nobody_notices_a_version_that_takes_over_at_once(scene: Scene) -> None:
    scene.driver.wants((2, 100))
    got = scene.under_load(lambda: scene.driver.wants((4, 100)))
    assert kinds(got.answers) == {}


@pytest.mark.parametrize("how", ["killed", "evicted", "crashed"])
def test_a_canary_without_its_only_pod_loses_its_own_share_until_it_is_taken_away(scene: Scene, how: str) -> None:
    scene.driver.wants((4, 80), (5, 20))
    place = scene.place

    def act() -> None:
        name = scene.one(5)["metadata"]["name"]
        if how == "killed":
            force = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
            place.kube._ask("DELETE", PODS.path(place.namespace, name), body=force)
        elif how == "evicted":
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
            place.kube.create(Kind("v1", f"pods/{name}/eviction", "Eviction"), place.namespace, eviction)
        else:
            place.dies(5)
        _pass(3.0)
        scene.driver.wants((4, 80), (5, 20))

    got = scene.under_load(act)
    lost = sum(kinds(got.answers).values())
    assert set(kinds(got.answers)) <= {"503 no healthy upstream", *(k for k in kinds(got.answers) if "connect" in k)}
    # A look a second and the gateway's own time: its share of that, with a margin for a machine with other work.
    assert lost <= 0.2 * RATE * 10
    assert span(got.answers) < 20


def test_a_routing_that_ends_leaves_nothing_behind(scene: Scene) -> None:
    place = scene.place
    scene.driver.wants()
    kinds_left = (INFERENCE_SERVICES, HTTP_ROUTES, DEPLOYMENTS, REPLICA_SETS, SERVICES, HPAS, PODS)
    deadline = time.monotonic() + 90
    while left := [o["metadata"]["name"] for kind in kinds_left for o in place.kube.list(kind, place.namespace, OURS)]:
        assert time.monotonic() < deadline, left
        scene.driver.look()
