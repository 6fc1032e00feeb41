"""A loop's life on a real API server: MLflow is real, KServe and the runs' steps are played."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serinus.adapters.kube import (
    CRON_JOBS,
    EVENTS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    LOOP_REQUESTS,
    MODEL_APPROVALS,
    MODEL_LOOPS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    Object,
)
from serinus.render.names import FINALIZER, LOOK
from services.operator.metrics import RESULTS
from services.platform import Platform
from tests.servers.kubernetes import ApiServer
from tests.servers.mlflow import mlflow_uri  # noqa: F401
from tests.servers.operators import KServe, Operator, Stage, kserve, model_loop, stage
from tests.servers.training import Training, training

NOWHERE = "http://127.0.0.1:9"


@dataclass
class World:
    """One namespace, its operators, its KServe, its pipeline runs."""

    stage: Stage
    namespace: str
    serving: KServe
    training: Training

    def loop(self, name: str, **changes: Any) -> None:
        """Apply a ModelLoop whose rollouts need neither traffic nor time."""
        self.stage.apply(self.namespace, name, **{"rollout": {"steps": [0, 100], "watch": "0s"}, **changes})

    def run(self, name: str, number: int = 1) -> str:
        """The key of the loop's `number`th run, once it was asked for."""

        def asked() -> str | None:
            keys = [key for key in self.training.keys if key.startswith(f"{name}-")]
            return keys[number - 1] if len(keys) >= number else None

        return str(self.stage.until(asked, f"run {number} of {name}"))

    def champion(self, name: str, version: int) -> None:
        """Wait until the loop's champion is `version`, and all is settled."""

        def shown() -> bool:
            status = self.stage.status(self.namespace, name)
            return status.get("champion") == version and condition(status, "Ready").get("status") == "True"

        self.stage.until(shown, f"{name} has champion {version}")

    def serve(self, name: str) -> None:
        """A first version, from its run to everyone."""
        self.champion(name, self.training.finish(self.run(name), name))

    def names(self, kind: Any) -> set[str]:
        """Of the objects of a kind in the namespace."""
        return {item["metadata"]["name"] for item in self.stage.kube.list(kind, self.namespace)}

    def events(self, name: str) -> list[tuple[str, str]]:
        """(type, reason) of the loop's Kubernetes Events."""
        found = self.stage.kube.list(EVENTS, self.namespace)
        return [(e["type"], e["reason"]) for e in found if e["involvedObject"]["name"] == name]


def condition(status: Object, kind: str) -> Object:
    return next((c for c in status.get("conditions") or () if c["type"] == kind), {})


def looks(operator: Operator) -> float:
    """How many looks it has taken."""
    return sum(operator.metric(f'serinus_operator_looks_total{{result="{r}"}}') or 0 for r in RESULTS)


def rests(operator: Operator, seconds: float = 7) -> float:
    """Wait until it has looked at nothing for `seconds`, thrice the pace of what is on its way; how often it had."""
    since, known, deadline = time.monotonic(), looks(operator), time.monotonic() + 60
    while time.monotonic() - since < seconds:
        assert time.monotonic() < deadline, f"it goes on looking, {known} times by now"
        time.sleep(0.2)
        if looks(operator) != known:
            since, known = time.monotonic(), looks(operator)
    return known


@pytest.fixture
def world(server: ApiServer, mlflow_uri: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:  # noqa: F811
    with living(server, mlflow_uri, tmp_path, request.node.name) as made:
        yield made


@contextlib.contextmanager
def living(
    server: ApiServer,
    mlflow_uri: str,  # noqa: F811
    tmp_path: Path,
    name: str,
    collector: str = "",
    token: str = "",
) -> Iterator[World]:
    """A namespace of its own and what an operator needs there; `name` is the test's."""
    namespace = server.namespace("life-" + re.sub(r"[^a-z]+", "-", name)[-50:].strip("-"))
    with training(tmp_path / "kfp", mlflow_uri) as runs:
        platform = Platform(
            mlflow_uri, NOWHERE, runs.server.url, collector_url=collector, collector_token_path=token,
            scrape_interval="1s", watch_namespace=namespace, pod_namespace=namespace,
        )  # fmt: skip
        with stage(server, platform, tmp_path) as made, kserve(server.kube, namespace) as serving:
            yield World(made, namespace, serving, runs)


def test_an_applied_loop_is_trained_served_and_shown(world: World) -> None:
    operator = world.stage.leading()
    world.loop("life-a")
    key = world.run("life-a")

    def progress() -> bool:
        return condition(world.stage.status(world.namespace, "life-a"), "Progressing").get("reason") == "Running"

    world.stage.until(progress, "it shows that a run is under way")
    world.training.finish(key, "life-a")
    world.champion("life-a", 1)
    status = world.stage.status(world.namespace, "life-a")
    assert status["observedGeneration"] == 1
    assert status["address"] == f"life-a.{world.namespace}.models.local"
    assert condition(status, "Degraded")["status"] == "False"
    assert world.names(INFERENCE_SERVICES) == {"life-a-v1"}
    assert world.names(HTTP_ROUTES) == {"life-a"}
    assert {("Normal", "RunRequested"), ("Normal", "RunSucceeded"), ("Normal", "Promoted")} <= set(
        world.events("life-a")
    )
    assert operator.metric('serinus_rollout_weight{loop="life-a",version="1"}') == 100
    about = world.stage.loop(world.namespace, "life-a")["metadata"]
    assert about["finalizers"] == [FINALIZER]
    assert not about.get("annotations"), "the operator writes no annotations on loops"


def test_the_drift_job_waits_for_a_champion_and_goes_with_the_specs_drift(world: World) -> None:
    world.stage.leading()
    world.loop("life-d")
    world.run("life-d")
    job = world.stage.until(lambda: world.stage.kube.get(CRON_JOBS, world.namespace, "life-d-drift"), "its drift job")
    assert job["spec"]["suspend"]
    world.serve("life-d")
    world.stage.until(
        lambda: not world.stage.kube.get(CRON_JOBS, world.namespace, "life-d-drift")["spec"]["suspend"],  # type: ignore[index]
        "the job is let go",
    )
    world.stage.kube.patch(MODEL_LOOPS, world.namespace, "life-d", {"spec": {"drift": {"every": "30m"}}})
    world.stage.until(
        lambda: "/30" in world.stage.kube.get(CRON_JOBS, world.namespace, "life-d-drift")["spec"]["schedule"],  # type: ignore[index]
        "the job follows the spec",
    )


def test_a_loop_that_settled_is_left_alone_and_woken_by_what_is_asked_of_it(world: World) -> None:
    operator = world.stage.leading()
    world.loop("life-q")
    world.serve("life-q")

    settled = rests(operator)
    ask = {
        "apiVersion": LOOP_REQUESTS.api,
        "kind": LOOP_REQUESTS.kind,
        "metadata": {"name": "please"},
        "spec": {"loop": "life-q", "id": "1", "kind": "run", "by": "admin", "at": "2026-01-01T00:00:00Z"},
    }
    world.stage.kube.create(LOOP_REQUESTS, world.namespace, ask)
    world.training.finish(world.run("life-q", 2), "life-q")
    world.stage.until(lambda: world.names(INFERENCE_SERVICES) == {"life-q-v1", "life-q-v2"}, "the next one comes")
    assert looks(operator) > settled
    world.stage.until(lambda: "please" not in world.names(LOOP_REQUESTS), "the request is done with")


def test_a_loop_at_rest_looks_when_an_annotation_asks_it_to(world: World) -> None:
    operator = world.stage.leading()
    world.loop("life-l")
    world.serve("life-l")
    settled = rests(operator)
    world.stage.kube.patch(MODEL_LOOPS, world.namespace, "life-l", {"metadata": {"annotations": {LOOK: "now"}}})
    world.stage.until(lambda: looks(operator) > settled, "a look")


def test_a_spec_that_is_not_valid_changes_nothing_and_says_so(world: World) -> None:
    world.stage.leading()
    world.loop("life-i")
    world.serve("life-i")
    # The rules of the CRD cannot say everything: that a cron expression is one, for example.
    world.stage.kube.patch(MODEL_LOOPS, world.namespace, "life-i", {"spec": {"training": {"schedule": "1 2 3 4 99"}}})

    def degraded() -> bool:
        return condition(world.stage.status(world.namespace, "life-i"), "Degraded").get("reason") == "InvalidSpec"

    world.stage.until(degraded, "it says so")
    said = condition(world.stage.status(world.namespace, "life-i"), "Degraded")["message"]
    assert "spec.training.schedule: expected a cron expression" in said
    assert world.stage.status(world.namespace, "life-i")["champion"] == 1
    assert world.names(INFERENCE_SERVICES) == {"life-i-v1"}
    assert world.events("life-i").count(("Warning", "InvalidSpec")) == 1
    world.stage.kube.patch(MODEL_LOOPS, world.namespace, "life-i", {"spec": {"training": {"schedule": None}}})
    world.champion("life-i", 1)


def test_a_deleted_loop_takes_what_was_made_for_it_along_and_nothing_else(world: World) -> None:
    world.stage.leading()
    world.loop("life-x")
    world.loop("life-y")
    world.serve("life-x")
    world.serve("life-y")
    approval = {
        "apiVersion": MODEL_APPROVALS.api,
        "kind": MODEL_APPROVALS.kind,
        "metadata": {"name": "kept"},
        "spec": {"loop": "life-x", "version": 9, "decision": "approve", "reason": "because", "approver": "admin"},
    }
    world.stage.kube.create(MODEL_APPROVALS, world.namespace, approval)
    world.stage.kube.delete(MODEL_LOOPS, world.namespace, "life-x")
    world.stage.until(
        lambda: world.stage.kube.get(MODEL_LOOPS, world.namespace, "life-x") is None, "the loop is gone", 30
    )
    assert world.names(INFERENCE_SERVICES) == {"life-y-v1"}
    assert world.names(HTTP_ROUTES) == {"life-y"}
    for kind in (CRON_JOBS, ROLES, ROLE_BINDINGS):
        assert world.names(kind) == {"life-y-drift"}
    assert world.names(SERVICE_ACCOUNTS) == {"life-y-drift", "default"}
    assert world.names(MODEL_APPROVALS) == {"kept"}
    world.champion("life-y", 1)


def test_a_loop_whose_memory_is_spoilt_says_so_and_can_be_deleted(world: World) -> None:
    world.stage.kube.create(MODEL_LOOPS, world.namespace, model_loop("life-m"))
    world.stage.kube.patch(MODEL_LOOPS, world.namespace, "life-m", {"status": {"memory": "no JSON"}}, "status")
    world.stage.leading()

    def said() -> bool:
        shown = condition(world.stage.status(world.namespace, "life-m"), "Degraded")
        return shown.get("reason") == "MemoryUnreadable" and "no JSON" in shown["message"]

    world.stage.until(said, "it says so")
    world.stage.kube.patch(MODEL_LOOPS, world.namespace, "life-m", {"metadata": {"finalizers": [FINALIZER]}})
    world.stage.kube.delete(MODEL_LOOPS, world.namespace, "life-m")
    world.stage.until(lambda: world.stage.kube.get(MODEL_LOOPS, world.namespace, "life-m") is None, "it is gone", 30)


def test_a_loop_deleted_in_mid_run_ends_its_run(world: World) -> None:
    operator = world.stage.leading()
    world.loop("life-r")
    world.run("life-r")
    world.stage.kube.delete(MODEL_LOOPS, world.namespace, "life-r")
    world.stage.until(lambda: world.stage.kube.get(MODEL_LOOPS, world.namespace, "life-r") is None, "it is gone", 30)
    assert any(":terminate" in call for call in world.training.server.calls)
    world.stage.until(lambda: operator.metric("serinus_operator_loops") == 0, "nothing is driven")
    assert 'loop="life-r"' not in operator.get("/metrics").text


def test_an_operator_killed_at_each_stage_is_followed_by_one_that_goes_on(world: World) -> None:
    first = world.stage.leading()
    world.loop("life-k")
    key = world.run("life-k")
    first.kill()
    second = world.stage.start()
    number = world.training.finish(key, "life-k")
    world.stage.until(lambda: world.names(INFERENCE_SERVICES) == {"life-k-v1"}, "the second makes its server", 90)
    second.kill()
    world.stage.start()
    world.champion("life-k", number)
    assert world.training.keys == [key], "no run was asked for twice"


def test_of_two_loops_of_one_name_the_elder_has_it(server: ApiServer, world: World, tmp_path: Path) -> None:
    other = server.namespace("elsewhere-of-the-name")
    everywhere = Platform(
        world.training.mlflow_url, NOWHERE, world.training.server.url, scrape_interval="1s",
        pod_namespace=world.namespace,
    )  # fmt: skip
    with stage(server, everywhere, tmp_path / "wide") as wide:
        (tmp_path / "wide").mkdir(exist_ok=True)
        wide.leading()
        world.loop("life-n")
        world.serve("life-n")
        wide.apply(other, "life-n")

        def refused() -> bool:
            return condition(wide.status(other, "life-n"), "Ready").get("reason") == "NameTaken"

        wide.until(refused, "the younger is refused")
        assert FINALIZER not in (wide.loop(other, "life-n")["metadata"].get("finalizers") or ())
        world.champion("life-n", 1)
        wide.kube.delete(MODEL_LOOPS, world.namespace, "life-n")
        wide.until(
            lambda: condition(wide.status(other, "life-n"), "Ready").get("reason") != "NameTaken",
            "the younger has the name now",
        )


def test_a_loop_deleted_in_mid_rollout_loses_both_its_servers(world: World) -> None:
    world.stage.leading()
    world.loop("life-h")
    world.serve("life-h")
    version = world.training.publish("life-h")
    assert version == 2
    world.stage.kube.patch(MODEL_LOOPS, world.namespace, "life-h", {"spec": {"serving": {"timeout": "9s"}}})
    world.stage.until(lambda: world.names(INFERENCE_SERVICES) == {"life-h-v1", "life-h-v2"}, "the canary comes")
    world.stage.kube.delete(MODEL_LOOPS, world.namespace, "life-h")
    world.stage.until(lambda: world.stage.kube.get(MODEL_LOOPS, world.namespace, "life-h") is None, "it is gone", 30)
    assert world.names(INFERENCE_SERVICES) == world.names(HTTP_ROUTES) == set()


def test_a_loop_is_let_go_of_in_a_minute_when_kubeflow_does_not_answer(world: World) -> None:
    world.stage.leading()
    world.loop("life-o")
    world.serve("life-o")
    world.training.server.faults.set({"unavailable": 600})
    world.stage.kube.delete(MODEL_LOOPS, world.namespace, "life-o")
    world.stage.until(lambda: not world.names(HTTP_ROUTES), "its route goes at once", 20)
    world.stage.until(lambda: world.stage.kube.get(MODEL_LOOPS, world.namespace, "life-o") is None, "it is gone", 100)
    assert ("Warning", "LetGo") in world.events("life-o")
    assert world.names(INFERENCE_SERVICES) == set()
