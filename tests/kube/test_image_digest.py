"""The digest of a step's image: only a real API server's pod has it, and only for those who may read pods."""

from __future__ import annotations

from pathlib import Path

import pytest

from serinus import environment
from serinus.adapters.kube import PODS, ROLE_BINDINGS, ROLES
from tests.servers.kubernetes import ApiServer
from tests.servers.patience import wait_for

IMAGE, DIGEST = "serinus/pipeline:0.1.0", f"sha256:{'ab' * 32}"
POD = "parcels-register-1"


@pytest.fixture
def account(server: ApiServer, tmp_path: Path) -> Path:
    """What a pod of the account `runner` finds of it; the account may read pods, and a pod of it ran our image."""
    namespace = server.namespace(f"runs-{tmp_path.name[-20:].lower().replace('_', '-').strip('-')}")
    server.service_account(namespace, "runner")
    server.kube.create(
        PODS,
        namespace,
        {
            "metadata": {"name": POD},
            "spec": {
                "serviceAccountName": "runner",
                "containers": [{"name": "wait", "image": "argoexec:v3"}, {"name": "main", "image": IMAGE}],
            },
        },
    )
    statuses = [
        {"name": name, "image": "i", "imageID": image, "ready": True, "restartCount": 0}
        for name, image in (("wait", "argoexec@sha256:" + "cd" * 32), ("main", f"docker.io/serinus/pipeline@{DIGEST}"))
    ]
    server.kube.patch(PODS, namespace, POD, {"status": {"containerStatuses": statuses}}, "status")
    (tmp_path / "namespace").write_text(namespace)
    (tmp_path / "token").write_text(server._token_of(namespace, "runner"))
    (tmp_path / "ca.crt").write_bytes((server.folder / "server.pem").read_bytes())
    return tmp_path


def around(server: ApiServer) -> dict[str, str]:
    """The environment of that pod."""
    port = server.url.rpartition(":")[2]
    return {
        "SERINUS_IMAGE": IMAGE, "KFP_POD_NAME": POD,
        "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port,
    }  # fmt: skip


def allow(server: ApiServer, namespace: str) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    subject = {"kind": "ServiceAccount", "name": "runner", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    server.kube.create(ROLES, namespace, {"metadata": {"name": "reader"}, "rules": rules})
    server.kube.create(ROLE_BINDINGS, namespace, {"metadata": {"name": "r"}, "roleRef": role, "subjects": [subject]})


def test_a_pod_that_may_read_itself_knows_its_images_digest(server: ApiServer, account: Path) -> None:
    allow(server, (account / "namespace").read_text())
    known = f"{IMAGE}@{DIGEST}"  # once the authorizer has heard of the role
    assert wait_for(lambda: environment.image(around(server), account), lambda said: said == known, 20) == known
    elsewhere = {**around(server), "SERINUS_IMAGE": "mine:1"}
    assert environment.image(elsewhere, account) == "mine:1", "no container of the pod is of that image"
    assert environment.image({**around(server), "KFP_POD_NAME": "gone"}, account) == IMAGE


def test_a_pod_that_may_not_knows_the_name(server: ApiServer, account: Path) -> None:
    assert environment.image(around(server), account) == IMAGE
