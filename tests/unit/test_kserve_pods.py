"""What pods and InferenceServices say of a version, in words for people."""

from __future__ import annotations

from typing import Any

import pytest

from serinus.adapters.kserve_pods import state
from serinus.facts import VariantState

SERVICE: dict[str, Any] = {"metadata": {"name": "flights-v2"}}
ENDING = {"metadata": {"name": "flights-v2", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
READY = {"type": "Ready", "status": "True"}
KNOWN = {"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]}


def pod(*conditions: dict[str, str], ending: bool = False, **statuses: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"name": "p"}
    if ending:
        about["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": about, "status": {"conditions": list(conditions), **statuses}}


def server(restarts: int = 0, name: str = "kserve-container", **what: Any) -> list[dict[str, Any]]:
    return [{"name": name, "restartCount": restarts, **what}]


def said(*pods: dict[str, Any], service: dict[str, Any] | None = SERVICE, **status: Any) -> str:
    found = state(2, 0, service if service is None else {**service, "status": status}, pods, [KNOWN])
    assert not found.ready
    return found.message


def test_a_version_is_ready_when_a_pod_is_and_its_service_knows_it() -> None:
    up = pod(READY, containerStatuses=server())
    assert state(2, 20, SERVICE, [up], [KNOWN]) == VariantState(2, True, 20)
    assert state(2, 20, SERVICE, [pod(), up], [{"endpoints": None}, KNOWN]).ready
    for slices in ([], [{"endpoints": None}], [{"endpoints": [{"conditions": {"ready": False}}]}]):
        assert state(2, 20, SERVICE, [up], slices) == VariantState(2, False, 20, "its server gets ready")


def test_a_pod_that_ends_serves_no_more_however_ready_it_says_it_is() -> None:
    assert said(pod(READY, ending=True)) == "its pod is ending, the next one is not there yet"
    assert said(pod(READY, ending=True), pod()) == "its server gets ready"


def test_what_is_being_deleted_or_lacks_is_not_ready() -> None:
    assert said(pod(READY), service=ENDING) == "its InferenceService is being deleted"
    assert said(pod(READY), service=None) == "expected its InferenceService, there is none"
    assert said() == "its pod is not there yet"


def test_restarts_are_those_of_the_pods_that_stay() -> None:
    pods = [
        pod(READY, containerStatuses=server(2)),
        pod(containerStatuses=server(1)),
        pod(containerStatuses=server(7), ending=True),
    ]
    assert state(2, 0, SERVICE, pods, [KNOWN]).restarts == 3


WORDS = "Traceback\n  File x\nArtifactError: no trust\n"
CRASHED = {"terminated": {"exitCode": 1, "reason": "Error", "message": WORDS}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container"}}
PULL = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "mine:1"'}}


@pytest.mark.parametrize(
    ("statuses", "message"),
    [
        ({"containerStatuses": server(state=CRASHED)}, "the server: Error: ArtifactError: no trust"),
        (
            {"containerStatuses": server(3, state=BACK_OFF, lastState=CRASHED)},
            "the server: CrashLoopBackOff: ArtifactError: no trust",
        ),
        (
            {"containerStatuses": server(1, state={"running": {}}, lastState=CRASHED)},
            "the server: Error: ArtifactError: no trust",
        ),
        (
            {"containerStatuses": server(1, lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})},
            "the server: OOMKilled: exit code 137",
        ),
        ({"containerStatuses": server(state=PULL)}, 'the server: ImagePullBackOff: Back-off pulling image "mine:1"'),
        (
            {
                "initContainerStatuses": server(
                    2,
                    "storage-initializer",
                    state=BACK_OFF,
                    lastState={"terminated": {"exitCode": 1, "message": "mlflow://flights/2: model.skops: expected"}},
                ),
                "containerStatuses": server(state={"waiting": {"reason": "PodInitializing"}}),
            },
            "the model could not be fetched: CrashLoopBackOff: mlflow://flights/2: model.skops: expected",
        ),
        ({"initContainerStatuses": server(1, "istio", state=PULL)}, "container istio: ImagePullBackOff: Back-off"),
        ({"containerStatuses": server(state={"waiting": {"reason": "ContainerCreating"}})}, "its server gets ready"),
        ({"containerStatuses": server(1, lastState={"terminated": {"exitCode": 0}})}, "its server gets ready"),
    ],
)
def test_why_a_server_is_not_ready_is_said(statuses: dict[str, Any], message: str) -> None:
    assert said(pod(**statuses)).startswith(message)


def test_a_pod_that_has_no_place_says_so() -> None:
    where = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: no cpu"}
    assert said(pod(where)) == "Unschedulable: 0/1 nodes: no cpu"


def test_without_a_pod_kserve_says_why() -> None:
    conditions = [
        {"type": "Stopped", "status": "False"},
        {"type": "PredictorReady", "status": "False", "reason": "FailedCreate", "message": "forbidden: quota"},
    ]
    assert said(conditions=conditions) == "PredictorReady: FailedCreate: forbidden: quota"
    failure = {"reason": "RuntimeNotRecognized", "message": "Waiting for runtime to become available"}
    assert said(conditions=conditions, modelStatus={"lastFailureInfo": failure}) == (
        "RuntimeNotRecognized: Waiting for runtime to become available"
    )


def test_a_message_has_an_end() -> None:
    long = {"terminated": {"exitCode": 1, "message": "x" * 5000}}
    assert len(said(pod(containerStatuses=server(state=long)))) == 500
