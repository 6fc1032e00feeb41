"""The Knative router on a real API server, on which the test plays KServe's and Knative's part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from serinus.adapters.knative import KnativeRouter
from serinus.adapters.kube import INFERENCE_SERVICES, PODS, REVISIONS, Kube, Object
from serinus.errors import Fatal
from serinus.facts import Routing, RoutingState, Variant, VariantState
from serinus.render import kserve, names
from tests import data_sets
from tests.servers import kserve_played
from tests.servers.knative import Played, revision_name
from tests.servers.kubernetes import ApiServer

LOOP = "flights"


@dataclass
class Scene:
    kube: Kube
    namespace: str
    played: Played = field(default_factory=Played)

    @property
    def router(self) -> KnativeRouter:
        made, _ = data_sets.binary(10)
        loop = made.model_copy(update={"metadata": made.metadata.model_copy(update={"name": LOOP})})

        def service(version: int, percent: int | None) -> Object:
            return kserve.knative_service(loop, version, percent, self.namespace)

        return KnativeRouter(self.kube, self.namespace, service)

    def apply(self, *shares: tuple[int, int]) -> None:
        self.router.apply(LOOP, Routing(tuple(Variant(version, weight) for version, weight in shares)))

    def reach(self, *shares: tuple[int, int]) -> RoutingState:
        """Apply, and have KServe look at it, until both have nothing left to do."""
        for _ in range(6):
            self.apply(*shares)
            self.kserve_looks()
        return self.router.observe(LOOP)

    @property
    def says(self) -> tuple[str, int | None]:
        """Whose model the InferenceService names, and which percent."""
        found = self.kube.get(INFERENCE_SERVICES, self.namespace, LOOP)
        assert found is not None
        predictor = found["spec"]["predictor"]
        return predictor["model"]["storageUri"], predictor.get("canaryTrafficPercent")

    def kserve_looks(self) -> None:
        found = self.kube.get(INFERENCE_SERVICES, self.namespace, LOOP)
        assert found is not None
        version = int(found["metadata"]["labels"][names.VERSION_LABEL])
        self.played.reconcile(version, found["spec"]["predictor"].get("canaryTrafficPercent"))
        for at, of in enumerate(self.played.revisions):
            name, broken = revision_name(LOOP, at), of in self.played.broken
            about = {"name": name, "labels": names.labels(LOOP, of)}
            revision = {"apiVersion": REVISIONS.api, "kind": "Revision", "metadata": about, "spec": {}}
            self.kube.apply(REVISIONS, self.namespace, revision)
            said = {"reason": "ContainerMissing", "message": "no image"} if broken else {}
            condition = {"type": "Ready", "status": str(not broken), **said}
            self.kube.patch(REVISIONS, self.namespace, name, {"status": {"conditions": [condition]}}, "status")
        self.kube.patch(INFERENCE_SERVICES, self.namespace, LOOP, {"status": self.played.status(LOOP)}, "status")


@pytest.fixture
def scene(server: ApiServer) -> Scene:
    kserve_played.install(server)
    return Scene(server.kube, kserve_played.namespace(server, "knative"))


def states(*what: tuple[int, int]) -> RoutingState:
    return RoutingState(tuple(VariantState(version, True, weight) for version, weight in what))


def test_a_loop_never_routed_has_no_variants(scene: Scene) -> None:
    assert scene.router.observe(LOOP) == RoutingState()


def test_a_loops_life_is_one_inference_service(scene: Scene) -> None:
    life: list[tuple[tuple[tuple[int, int], ...], tuple[str, int | None]]] = [
        (((1, 100),), ("mlflow://flights/1", None)),
        (((1, 100), (2, 0)), ("mlflow://flights/2", 0)),
        (((1, 80), (2, 20)), ("mlflow://flights/2", 20)),
        (((1, 50), (2, 50)), ("mlflow://flights/2", 50)),
        (((1, 0), (2, 100)), ("mlflow://flights/2", None)),
        (((1, 100), (2, 0)), ("mlflow://flights/2", 0)),
    ]
    for shares, says in life:
        assert scene.reach(*shares) == states(*shares)
        assert scene.says == says


def test_a_canary_is_thrown_back_and_another_takes_its_place(scene: Scene) -> None:
    scene.reach((1, 100))
    scene.reach((1, 80), (2, 20))
    assert scene.reach((1, 100)) == states((1, 100))
    assert scene.says == ("mlflow://flights/1", None)
    assert scene.reach((1, 95), (3, 5)) == states((1, 95), (3, 5))


def test_a_version_that_never_gets_ready_gets_no_share_and_says_why(scene: Scene) -> None:
    scene.played.broken.add(2)
    scene.reach((1, 100))
    assert scene.reach((1, 80), (2, 20)) == RoutingState(
        (VariantState(1, True, 100), VariantState(2, False, 0, "ContainerMissing: no image"))
    )


def test_a_crashing_pod_says_more_than_its_revision(scene: Scene) -> None:
    scene.played.broken.add(1)
    scene.reach((1, 100))
    labels = {**names.labels(LOOP, 1), "component": "predictor"}
    container = {"name": "kserve-container", "image": "none"}
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": labels},
        "spec": {"containers": [container], "automountServiceAccountToken": False},
    }  # fmt: skip
    scene.kube.apply(PODS, scene.namespace, pod)
    ended = {"exitCode": 1, "reason": "Error", "message": "the model does not load"}
    status = {
        "name": "kserve-container", "image": "none", "imageID": "", "ready": False, "restartCount": 2,
        "lastState": {"terminated": ended},
    }  # fmt: skip
    scene.kube.patch(PODS, scene.namespace, "p", {"status": {"containerStatuses": [status]}}, "status")
    assert scene.router.observe(LOOP).of(1) == VariantState(
        1, False, 0, "the server: Error: the model does not load", 2
    )


def test_an_empty_routing_ends_everything(scene: Scene) -> None:
    scene.reach((1, 100))
    scene.apply()
    assert scene.kube.get(INFERENCE_SERVICES, scene.namespace, LOOP) is None
    assert scene.router.observe(LOOP) == RoutingState()
    scene.apply()


def test_a_steady_look_changes_nothing(scene: Scene) -> None:
    scene.reach((1, 80), (2, 20))
    found: Callable[[], Object | None] = lambda: scene.kube.get(INFERENCE_SERVICES, scene.namespace, LOOP)  # noqa: E731
    before = found()
    scene.apply((1, 80), (2, 20))
    assert found() == before


def test_somebody_elses_inference_service_is_left_alone(scene: Scene) -> None:
    theirs = {"apiVersion": INFERENCE_SERVICES.api, "kind": "InferenceService", "metadata": {"name": LOOP}}
    scene.kube.create(INFERENCE_SERVICES, scene.namespace, theirs)
    with pytest.raises(Fatal, match="not ours"):
        scene.apply((1, 100))
    scene.apply()
    assert scene.kube.get(INFERENCE_SERVICES, scene.namespace, LOOP) is not None
