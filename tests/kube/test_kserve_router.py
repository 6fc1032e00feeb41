"""The KServe router's promises that need no pods: what it asks and writes, whose objects it touches, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serinus.adapters.kserve import LINGER, WARM, KServeRouter
from serinus.adapters.kube import HTTP_ROUTES, INFERENCE_SERVICES, Kube, Object
from serinus.errors import Fatal, Unavailable
from serinus.facts import Routing, Variant
from serinus.render import gateway, kserve
from serinus.spec import ModelLoop
from tests import data_sets
from tests.servers import kserve_played as play
from tests.servers.kubernetes import ApiServer

LOOP = "flights"


@dataclass
class Scene:
    """A namespace, a clock that only a test moves, and a router that is made anew for each call."""

    kube: Kube
    namespace: str
    uid: str = ""
    spec: dict[str, Any] = field(default_factory=dict)
    now: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def loop(self) -> ModelLoop:
        made, _ = data_sets.binary(10, **self.spec)
        return made.model_copy(update={"metadata": made.metadata.model_copy(update={"name": LOOP})})

    @property
    def router(self) -> KServeRouter:
        def service(version: int) -> Object:
            return kserve.inference_service(self.loop, version, self.namespace, self.uid)

        def route(weights: Mapping[int, int], mirrors: Mapping[int, int]) -> Object:
            return gateway.http_route(
                LOOP, self.namespace, "h.test", "infra/gate", weights, uid=self.uid, mirrors=mirrors
            )

        counting = Kube(self.kube._client, answered=lambda verb, _: self.asked.update([verb]))
        return KServeRouter(counting, self.namespace, service, route, self.uid, clock=lambda: self.now)

    def apply(self, *shares: tuple[int, int] | tuple[int, int, int]) -> None:
        """Versions with their weights, and who gets copies with their percent too."""
        self.router.apply(LOOP, Routing(tuple(Variant(*share) for share in shares)))

    def passes(self, time: timedelta) -> None:
        self.now += time

    def services(self) -> set[str]:
        return {found["metadata"]["name"] for found in self.kube.list(INFERENCE_SERVICES, self.namespace)}

    def weights(self) -> dict[str, int]:
        """Service -> weight, as the route says."""
        route = self.kube.get(HTTP_ROUTES, self.namespace, LOOP)
        return {} if route is None else {r["name"]: r["weight"] for r in route["spec"]["rules"][0]["backendRefs"]}

    def up(self, *versions: int) -> None:
        for version in versions:
            play.up(self.kube, self.namespace, LOOP, version)

    def serves(self, version: int) -> None:
        """It has everything, and the gateway knows."""
        self.apply((version, 100))
        self.up(version)
        self.apply((version, 100))
        play.accept(self.kube, self.namespace, LOOP)


@pytest.fixture
def scene(server: ApiServer) -> Scene:
    play.install(server)
    return Scene(server.kube, play.namespace(server, "routes"))


V1, V2 = "flights-v1-predictor", "flights-v2-predictor"


def test_a_version_has_a_share_only_after_the_gateway_has_known_it_for_a_while(scene: Scene) -> None:
    scene.serves(1)
    scene.apply((1, 80), (2, 20))
    assert (scene.services(), scene.weights()) == ({"flights-v1", "flights-v2"}, {V1: 100})
    scene.up(2)
    scene.apply((1, 80), (2, 20))
    assert scene.weights() == {V1: 100, V2: 0}
    scene.passes(WARM)
    scene.apply((1, 80), (2, 20))  # the gateway has not said yet that it knows
    assert scene.weights() == {V1: 100, V2: 0}
    play.accept(scene.kube, scene.namespace, LOOP)
    scene.apply((1, 80), (2, 20))
    scene.passes(WARM - timedelta(milliseconds=1))
    scene.apply((1, 80), (2, 20))
    assert scene.weights() == {V1: 100, V2: 0}
    scene.passes(timedelta(milliseconds=1))
    scene.apply((1, 80), (2, 20))
    assert scene.weights() == {V1: 80, V2: 20}


def test_a_version_goes_only_after_it_was_without_a_share_for_a_while(scene: Scene) -> None:
    scene.serves(1)
    scene.up(2)
    for _ in range(3):
        scene.apply((2, 100))
        play.accept(scene.kube, scene.namespace, LOOP)
        scene.passes(WARM)
    scene.apply((2, 100))
    assert scene.weights() == {V1: 0, V2: 100}
    scene.passes(LINGER)
    scene.apply((2, 100))  # the gateway has not said yet that it has taken the share away
    assert scene.services() == {"flights-v1", "flights-v2"}
    play.accept(scene.kube, scene.namespace, LOOP)
    scene.apply((2, 100))
    scene.passes(LINGER - timedelta(milliseconds=1))
    scene.apply((2, 100))
    assert scene.services() == {"flights-v1", "flights-v2"}
    scene.passes(timedelta(milliseconds=1))
    scene.apply((2, 100))
    assert (scene.services(), scene.weights()) == ({"flights-v2"}, {V2: 100})


def test_a_version_that_never_had_a_share_goes_at_once(scene: Scene) -> None:
    scene.serves(1)
    scene.apply((1, 100), (2, 0))
    scene.apply((1, 100))
    assert scene.services() == {"flights-v1"}


def test_a_share_comes_back_at_once_to_a_version_that_is_kept(scene: Scene) -> None:
    scene.serves(1)
    scene.up(2)
    for _ in range(4):
        scene.apply((1, 0), (2, 100))
        play.accept(scene.kube, scene.namespace, LOOP)
        scene.passes(WARM)
    assert scene.weights() == {V1: 0, V2: 100}
    scene.apply((1, 0), (2, 100))
    scene.passes(WARM)
    scene.apply((1, 100), (2, 0))
    assert scene.weights() == {V1: 100, V2: 0}


def test_copies_are_sent_while_a_version_is_ready_and_never_to_one_that_answers(scene: Scene) -> None:
    def mirrors() -> list[tuple[int, int, int]]:
        return [(v.version, v.weight, v.mirror) for v in scene.router.observe(LOOP).variants]

    scene.serves(1)
    scene.apply((1, 100), (2, 0, 40))
    assert mirrors() == [(1, 100, 0), (2, 0, 0)]
    scene.up(2)
    scene.apply((1, 100), (2, 0, 40))
    play.accept(scene.kube, scene.namespace, LOOP)
    assert mirrors() == [(1, 100, 0), (2, 0, 40)]
    scene.apply((1, 100), (2, 0, 100))
    play.accept(scene.kube, scene.namespace, LOOP)
    assert mirrors() == [(1, 100, 0), (2, 0, 100)]
    for _ in range(3):
        scene.apply((1, 0), (2, 100))
        play.accept(scene.kube, scene.namespace, LOOP)
        scene.passes(WARM)
    assert mirrors() == [(1, 0, 0), (2, 100, 0)]


def test_a_steady_look_asks_a_few_questions_and_writes_nothing(scene: Scene) -> None:
    scene.serves(1)
    scene.asked.clear()
    for _ in range(5):
        scene.apply((1, 100))
        scene.router.observe(LOOP)
    assert scene.asked == {"GET": 40}


def test_an_edited_spec_reaches_the_versions_that_serve(scene: Scene) -> None:
    scene.serves(1)
    scene.spec = {"serving": {"resources": {"limits": {"memory": "2Gi"}}, "maxReplicas": 2}}
    scene.apply((1, 100))
    assert predictor(scene)["model"]["resources"] == {"limits": {"memory": "2Gi"}}
    scene.spec = {}
    scene.apply((1, 100))
    assert "resources" not in predictor(scene)["model"]
    assert predictor(scene)["maxReplicas"] == 1


def test_what_somebody_changed_by_hand_is_put_right(scene: Scene) -> None:
    scene.serves(1)
    hand = {"spec": {"predictor": {"model": {"storageUri": "s3://elsewhere"}}}}
    scene.kube.patch(INFERENCE_SERVICES, scene.namespace, "flights-v1", hand)
    scene.apply((1, 100))
    assert predictor(scene)["model"]["storageUri"] == "mlflow://flights/1"


def predictor(scene: Scene) -> dict[str, Any]:
    found = scene.kube.get(INFERENCE_SERVICES, scene.namespace, "flights-v1")
    assert found is not None
    of: dict[str, Any] = found["spec"]["predictor"]
    return of


def test_somebody_elses_object_of_our_name_is_left_alone(scene: Scene) -> None:
    theirs = {"apiVersion": INFERENCE_SERVICES.api, "kind": "InferenceService", "metadata": {"name": "flights-v1"}}
    scene.kube.create(INFERENCE_SERVICES, scene.namespace, theirs)
    before = scene.kube.get(INFERENCE_SERVICES, scene.namespace, "flights-v1")
    with pytest.raises(Fatal, match="flights-v1 is there and not ours"):
        scene.apply((1, 100))
    scene.apply()
    assert scene.kube.get(INFERENCE_SERVICES, scene.namespace, "flights-v1") == before
    assert scene.router.observe(LOOP).variants == ()


def test_an_earlier_loops_objects_are_left_to_the_garbage_collector(scene: Scene) -> None:
    scene.uid = "the-earlier"
    scene.serves(1)
    before = scene.kube.get(INFERENCE_SERVICES, scene.namespace, "flights-v1")
    scene.uid = "the-later"
    with pytest.raises(Unavailable, match="belongs to an earlier ModelLoop"):
        scene.apply((1, 100))
    assert scene.router.observe(LOOP).variants == ()
    scene.apply()
    assert scene.kube.get(INFERENCE_SERVICES, scene.namespace, "flights-v1") == before
    assert scene.weights() == {V1: 100}


def test_an_object_that_says_no_version_is_no_trouble(scene: Scene) -> None:
    scene.serves(1)
    labels = {
        "app.kubernetes.io/managed-by": "serinus",
        "app.kubernetes.io/part-of": "serinus",
        "serinus.dev/loop": LOOP,
    }
    odd = {
        "apiVersion": INFERENCE_SERVICES.api,
        "kind": "InferenceService",
        "metadata": {"name": "odd", "labels": labels},
    }
    scene.kube.create(INFERENCE_SERVICES, scene.namespace, odd)
    scene.apply((1, 100))
    scene.apply()
    assert scene.services() == {"odd"}


def test_a_gateway_that_does_not_take_the_route_says_why(scene: Scene) -> None:
    scene.serves(1)
    play.accept(scene.kube, scene.namespace, LOOP, "False", "no listener for h.test")
    with pytest.raises(Unavailable, match=r"infra/gate has not taken up .*flights: NoMatchingParent: no listener"):
        scene.router.observe(LOOP)


def test_an_inference_service_that_is_being_deleted_is_made_anew_once_it_is_gone(scene: Scene) -> None:
    scene.serves(1)
    hold = {"metadata": {"finalizers": ["example.com/hold"]}}
    scene.kube.patch(INFERENCE_SERVICES, scene.namespace, "flights-v1", hold)
    scene.kube.delete(INFERENCE_SERVICES, scene.namespace, "flights-v1")
    scene.apply((1, 100))
    state = scene.router.observe(LOOP).of(1)
    assert state is not None
    assert (state.ready, state.message) == (False, "its InferenceService is being deleted")
    scene.kube.patch(INFERENCE_SERVICES, scene.namespace, "flights-v1", {"metadata": {"finalizers": None}})
    scene.apply((1, 100))
    made = scene.kube.get(INFERENCE_SERVICES, scene.namespace, "flights-v1")
    assert made is not None
    assert "deletionTimestamp" not in made["metadata"]
