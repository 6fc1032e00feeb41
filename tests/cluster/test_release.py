"""The release on a real cluster: tested, upgraded, rolled back, uninstalled and back, under a loop that serves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serinus.adapters.kube import MODEL_LOOPS, SECRETS
from tests.cluster import installation, loops
from tests.cluster.installation import NAMESPACE, PVCS, RELEASE, VALUES, Installation, kubectl, run
from tests.cluster.loops import Loop

pytestmark = [pytest.mark.timeout(600), pytest.mark.disturbs]
HELM = ("-n", NAMESPACE)


def test_helm_test_proves_a_prediction(serinus: Installation, tmp_path: Path) -> None:
    with loops.serving(serinus, tmp_path) as loop:
        host, port = installation.gateway(serinus.kube)
        asked = {"loop": f"{loop.namespace}/{loop.name}", "gatewayUrl": f"http://{host}:{port}"}
        installation.upgrade(_values(tmp_path, test=asked))
        said = run("helm", "test", RELEASE, *HELM, "--logs", "--timeout", "120s")
    assert f"ok      loop {loop.namespace}/{loop.name}: version 1 answers its" in said
    for part in ("operator", "ModelLoops", "MLflow at", "Prometheus at", "Kubeflow Pipelines at", "collector at"):
        assert f"ok      {part}" in said, said


def test_helm_test_fails_for_a_loop_that_is_not_there(serinus: Installation, tmp_path: Path) -> None:
    installation.upgrade(_values(tmp_path, test={"loop": "nowhere/nothing"}))
    with pytest.raises(AssertionError, match="expected the loop nowhere/nothing, got no such ModelLoop"):
        run("helm", "test", RELEASE, *HELM, "--logs", "--timeout", "120s")


def test_an_upgrade_and_its_rollback_leave_loops_and_callers_alone(serinus: Installation, tmp_path: Path) -> None:
    with loops.serving(serinus, tmp_path) as loop, _undisturbed(loop):
        before, key = _revision(), _hash_key(serinus)
        installation.upgrade(_values(tmp_path, operator={"podAnnotations": {"example.com/upgraded": "yes"}}))
        assert _annotation() == "yes"
        run("helm", "rollback", RELEASE, str(before), *HELM, "--wait", "--timeout", "240s")
        assert _annotation() == ""
        assert _hash_key(serinus) == key, "equal values would no longer be equal"


def test_an_uninstall_keeps_loops_models_and_traffic_and_a_new_release_goes_on(
    serinus: Installation, tmp_path: Path
) -> None:
    with loops.serving(serinus, tmp_path) as loop:
        claim, key = serinus.kube.get(PVCS, NAMESPACE, "serinus-mlflow"), _hash_key(serinus)
        records = serinus.kube.get(PVCS, NAMESPACE, "serinus-collector")
        try:
            with _undisturbed(loop):
                run("helm", "uninstall", RELEASE, *HELM, "--wait", "--timeout", "120s")
                assert serinus.kube.get(MODEL_LOOPS, loop.namespace, loop.name) is not None
                assert serinus.kube.get(PVCS, NAMESPACE, "serinus-mlflow") == claim
                assert serinus.kube.get(PVCS, NAMESPACE, "serinus-collector") == records
        finally:
            installation.upgrade(_values(tmp_path))
        assert _hash_key(serinus) == key
        # The models are still there, and the story goes on.
        since = loops.now()
        loop.apply(training={"estimator": "logistic-regression", "params": {"C": 0.5}})
        assert loop.register() == 2
        loop.happens("RolloutStarted", since, 120)


def test_the_manifests_are_taken_by_a_cluster_that_knows_every_kind(serinus: Installation) -> None:
    """Strictly, and without keeping anything: another installation is at work here."""
    overlays = installation.ROOT / "manifests" / "overlays"
    namespaces = ("serinus", "kubeflow-user-example-com")
    made = [name for name in namespaces if serinus.kube.get(installation.NAMESPACES, None, name) is None]
    for name in made:
        kubectl("create", "namespace", name)
    try:
        for overlay in ("standalone", "multi-user"):
            words = ("--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server")
            said = kubectl("apply", *words, "-k", str(overlays / overlay))
            assert "clusterservingruntime.serving.kserve.io/serinus serverside-applied (server dry run)" in said
    finally:
        for name in made:
            kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def _undisturbed(loop: Loop) -> Iterator[None]:
    """Callers ask all the while and none of them fails; the champion and what the loop remembers stay."""
    before = loop.status.champion
    with loop.calls(rate=20) as calls:
        yield
        done = len(calls.answers)
        loop.until(lambda: len(calls.answers) > done + 200, "ten more seconds of traffic")
    assert calls.failed() == []
    assert loop.status.champion == before
    assert loop.events("RolledBack") == []


def _values(folder: Path, **more: object) -> Path:
    path = folder / "values.json"
    path.write_text(json.dumps({**VALUES, **more}))
    return path


def _hash_key(serinus: Installation) -> str:
    secret = serinus.kube.get(SECRETS, NAMESPACE, "serinus-collector-hash-key")
    assert secret is not None
    return str(secret["data"]["hash-key"])


def _revision() -> int:
    return int(json.loads(run("helm", "history", RELEASE, *HELM, "-o", "json"))[-1]["revision"])


def _annotation() -> str:
    path = r"{.spec.template.metadata.annotations.example\.com/upgraded}"
    return kubectl("-n", NAMESPACE, "get", f"deployment/{RELEASE}-operator", "-o", f"jsonpath={path}")
