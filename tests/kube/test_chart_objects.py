"""The chart's objects as a real API server takes them: strictly, so that a field nobody knows is a failure."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from serinus.adapters.kube import Kind
from tests.chart.scenarios import NAMES, Object, objects
from tests.servers import kube_ledgers
from tests.servers.kubernetes import ApiServer
from tools import chart

NAMESPACES = Kind("v1", "namespaces", "Namespace", namespaced=False)
SPACE = "chart"
NOT_HERE = {
    "ClusterServingRuntime", "ServingRuntime", "ClusterStorageContainer",  # KServe's: tests/cluster has them
    "PodMonitor", "PrometheusRule",  # the Prometheus operator's
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _restricted(server: ApiServer) -> None:
    """A namespace that takes only what PodSecurity `restricted` allows, with the accounts that pods need to be made."""
    kube_ledgers.install(server)
    server.namespace(SPACE)
    for account in ("serinus-operator", "loops"):
        server.service_account(SPACE, account)
    server.kube.patch(
        NAMESPACES, None, SPACE, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    )


@pytest.mark.parametrize("scenario", NAMES)
def test_every_object_is_taken_with_every_field_known(server: ApiServer, scenario: str) -> None:
    known = [o for o in objects(scenario) if o["kind"] not in NOT_HERE]
    done = _dry(server, known)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    assert len(done.stdout.splitlines()) == len(known)


def test_an_unknown_field_would_be_refused(server: ApiServer) -> None:
    (budget,) = (o for o in objects("default") if o["kind"] == "PodDisruptionBudget")
    done = _dry(server, [{**budget, "spec": {**budget["spec"], "minAvailabel": 1}}])
    assert done.returncode != 0
    assert "minAvailabel" in done.stderr


def test_a_pod_that_is_not_restricted_would_be_refused(server: ApiServer) -> None:
    (pod,) = (o for o in objects("default") if o["kind"] == "Pod")
    lax = json.loads(json.dumps(pod))
    lax["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    done = _dry(server, [lax])
    assert done.returncode != 0
    assert 'violates PodSecurity "restricted' in done.stderr


@pytest.mark.parametrize("overlay", ["standalone", "multi-user"])
def test_the_manifests_are_taken_with_every_field_known(server: ApiServer, overlay: str) -> None:
    built = list(
        yaml.safe_load_all(chart.run("kubectl", "kustomize", str(chart.ROOT / "manifests/overlays" / overlay)))
    )
    for namespace in {o["metadata"].get("namespace", "") for o in built} - {""}:
        server.namespace(namespace)
    done = _dry(server, [o for o in built if o["kind"] not in NOT_HERE], namespace="")
    assert done.returncode == 0, done.stderr


def _dry(server: ApiServer, things: list[Object], namespace: str = SPACE) -> subprocess.CompletedProcess[str]:
    """What the API server would say to these objects; nothing is kept."""
    where = ("-n", namespace) if namespace else ()
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": things})
    words = ("apply", "--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server", "-f", "-")
    return server.kubectl(*where, *words, stdin=listed)
