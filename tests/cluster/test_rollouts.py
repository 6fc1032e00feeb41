"""Canaries under load on a real cluster, and what may befall them. Callers' failed requests are counted in each."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import pytest

from serinus.adapters.kube import HTTP_ROUTES, INFERENCE_SERVICES, MODEL_LOOPS, PODS
from serinus.render import names
from tests.cluster import images, installation, loops
from tests.cluster.installation import NAMESPACE, VALUES, Installation, kubectl
from tests.cluster.loops import Loop
from tests.servers.callers import Answer
from tests.servers.loops import rows_of

pytestmark = pytest.mark.timeout(600)

TRUST = {"trust": ["faulty.FailsOnNewRows", "faulty.Slow"], "image": images.PIPELINE}
FAULTY = {"python": "faulty:fit_failing", "params": {"max_iter": 10}, "trust": ["faulty.FailsOnNewRows"]}


def test_a_canary_that_fails_is_rolled_back_and_nobody_else_is_hurt(serinus: Installation, tmp_path: Path) -> None:
    training = {"estimator": "logistic-regression", **TRUST}
    with loops.serving(serinus, tmp_path, training=training, serving={"image": images.PREDICTOR}) as loop:
        unseen = loop.frame.assign(weight=loop.frame["weight"] + 0.001)  # what training saw does not fail
        fresh = rows_of(loop.spec, pd.DataFrame(unseen), 512)
        with loop.calls(fresh) as calls:
            since = loops.now()
            bad = loop.register(**FAULTY)
            loop.happens("RolloutStarted", since, 180)
            began = _first(calls.answers, bad, loop)
            rolled = loop.happens("RolledBack", since, 120)
            loop.until(lambda: _weight(loop, bad) == 0, "the route without it", 30)
            ended = time.monotonic()
            loop.until(lambda: len(calls.since(ended)) > 200, "traffic afterwards", 30)
        own = [a for a in calls.failed() if a.version != bad]
        print({"rollback after, s": round(ended - began, 1), "why": rolled.message, "injected": len(calls.failed())})  # noqa: T201
        assert own == []
        assert not [a for a in calls.since(ended + 1) if a.version == bad]
        assert loop.status.champion == 1


def test_a_pod_of_the_canary_that_is_killed_costs_its_own_share_at_most(serinus: Installation, tmp_path: Path) -> None:
    slow = {**loops.FAST["rollout"], "minRequests": 5000, "stepTimeout": "600s"}
    with loops.serving(serinus, tmp_path, rollout=slow) as loop, loop.calls() as calls:
        version = loop.register()
        loop.gets_traffic(version, 180)
        loop.until(lambda: calls.by_version()[version] > 20, "answers of the canary", 30)
        (pod,) = loop.pods(version)
        kubectl("-n", loop.namespace, "delete", "pod", pod["metadata"]["name"], "--grace-period", "0", "--force")
        killed = time.monotonic()
        loop.until(lambda: len(calls.since(killed)) > 500, "traffic afterwards", 60)
        failed = calls.failed()
        span = max((a.done for a in failed), default=killed) - killed
        print({"failed": len(failed), "for, s": round(span, 2), "kinds": sorted({a.problem[:60] for a in failed})})  # noqa: T201
        assert {a.version for a in failed} <= {version, -1}
        assert span < 5


@contextmanager
def _away(what: str, namespace: str) -> Iterator[None]:
    """A deployment scaled to nothing, and back."""
    kubectl("-n", namespace, "scale", what, "--replicas", "0")
    try:
        yield
    finally:
        kubectl("-n", namespace, "scale", what, "--replicas", "1")
        kubectl("-n", namespace, "rollout", "status", what, "--timeout", "120s")


def _for_a_minute(what: str, namespace: str) -> Callable[[Loop, Path], None]:
    def disturb(loop: Loop, _: Path) -> None:
        with _away(what, namespace):
            gone = time.monotonic()
            loop.until(lambda: time.monotonic() - gone > 60, "a minute", 70)

    return disturb


def _upgrade(_: Loop, folder: Path) -> None:
    values = folder / "values.json"
    values.write_text(json.dumps({**VALUES, "operator": {"podAnnotations": {"upgraded": str(time.time())}}}))
    installation.upgrade(values)


def _edit(loop: Loop, _: Path) -> None:
    loop.apply(rollout={**loops.FAST["rollout"], "steps": [10, 30, 60]})


def _kill_operator(loop: Loop, _folder: Path) -> None:
    """Both replicas at once, at whatever stage the loop is; and once more at the next one."""
    for _ in range(2):
        before = len(loop.events("StepPassed", "Promoted"))
        for pod in loop.installation.operator():
            name = pod["metadata"]["name"]
            kubectl("-n", NAMESPACE, "delete", "pod", name, "--grace-period", "0", "--force")
        loop.until(lambda seen=before: len(loop.events("StepPassed", "Promoted")) > seen, "the next stage", 180)  # type: ignore[misc]


@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(_edit, id="spec edited"),
        pytest.param(_kill_operator, id="operator killed at every stage", marks=pytest.mark.disturbs),
        pytest.param(_upgrade, id="release upgraded", marks=pytest.mark.disturbs),
        pytest.param(
            _for_a_minute("deployment/prometheus", "monitoring"),
            id="Prometheus away for a minute",
            marks=pytest.mark.disturbs,
        ),
        pytest.param(
            _for_a_minute("deployment/serinus-mlflow", NAMESPACE),
            id="MLflow away for a minute",
            marks=pytest.mark.disturbs,
        ),
    ],
)
def test_a_rollout_ends_well_without_a_failed_request_whatever_happens_in_its_middle(
    serinus: Installation, tmp_path: Path, disturb: Callable[[Loop, Path], None]
) -> None:
    with loops.serving(serinus, tmp_path) as loop, loop.calls() as calls:
        version = loop.register()
        loop.gets_traffic(version, 180)
        disturb(loop, tmp_path)
        loop.serves(version, 300)
        loop.until(lambda: _weight(loop, 1) == 0, "the old version without traffic", 60)
        assert calls.failed() == []
        assert len(loop.events("Promoted")) == 2  # the first version's and this one's, each once


def test_two_loops_at_once_do_not_disturb_each_other(serinus: Installation, tmp_path: Path) -> None:
    with ExitStack() as stack:
        both: list[Loop] = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            both.append(stack.enter_context(loops.serving(serinus, tmp_path / name)))
        calls = [stack.enter_context(loop.calls(rate=25)) for loop in both]
        threads = [threading.Thread(target=loop.register) for loop in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for loop in both:
            loop.serves(2, 300)
        assert [each.failed() for each in calls] == [[], []]


def test_a_loop_that_is_deleted_in_mid_rollout_leaves_nothing_and_takes_nothing_with_it(
    serinus: Installation, tmp_path: Path
) -> None:
    with loops.serving(serinus, tmp_path) as loop:
        mine = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "mine", "labels": names.labels(loop.name)},
        }
        kubectl("-n", loop.namespace, "apply", "-f", "-", stdin=json.dumps(mine))
        with loop.calls():
            version = loop.register()
            loop.gets_traffic(version, 180)
            kubectl("-n", loop.namespace, "delete", "modelloop", loop.name, "--timeout", "60s")

        def left() -> list[str]:
            kinds = (INFERENCE_SERVICES, HTTP_ROUTES, PODS, MODEL_LOOPS)
            return [o["metadata"]["name"] for kind in kinds for o in loop.kube.list(kind, loop.namespace)]

        deadline = time.monotonic() + 90
        while left():
            assert time.monotonic() < deadline, left()
            time.sleep(0.5)
        assert "mine" in kubectl("-n", loop.namespace, "get", "configmap", "-o", "name")


def _first(answers: list[Answer], version: int, loop: Loop) -> float:
    """When the version first answered (monotonic)."""

    def found() -> list[float]:
        return [a.done for a in list(answers) if a.version == version]

    loop.until(lambda: bool(found()), f"an answer of version {version}", 60)
    return min(found())


def _weight(loop: Loop, version: int) -> int:
    """The share that the route gives to a version."""
    route = loop.kube.get(HTTP_ROUTES, loop.namespace, loop.name)
    assert route is not None
    backends = [ref for rule in route["spec"]["rules"] for ref in rule["backendRefs"]]
    return sum(int(ref.get("weight", 1)) for ref in backends if ref["name"] == names.service(loop.name, version))
