"""A Postgres in a pod of the installation's namespace, for collectors that share it; its rows outlive its pod."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from typing import Any

from serinus.adapters.kube import PODS, Kube
from serinus.render import kserve
from tests.cluster.installation import NAMESPACE, kubectl
from tests.servers.envoy import until

IMAGE = "serinus-test/postgres:1"
NAME, PORT = "postgres", 5432
POD = f"{NAME}-0"
SECRET = {"name": "collector-database", "key": "url"}
"""As the chart's `collector.databaseUrlSecret` names it."""


@contextlib.contextmanager
def postgres() -> Iterator[None]:
    """One that answers, with its URL in the Secret; gone with its rows afterwards."""
    kubectl("-n", NAMESPACE, "apply", "--server-side", "-f", "-", stdin=json.dumps(_objects()))
    try:
        kubectl("-n", NAMESPACE, "rollout", "status", f"statefulset/{NAME}", "--timeout", "180s")
        yield
    finally:
        kubectl("-n", NAMESPACE, "delete", "statefulset,service,secret,pvc", "-l", f"app={NAME}", "--timeout", "90s")


def killed(kube: Kube) -> None:
    """Its pod, as good as at once; returns when another one answers with the same rows.

    Not by force: then the next pod would not wait for this one to be gone, and two servers would write the same files.
    """
    before = _uid(kube)
    kubectl("-n", NAMESPACE, "delete", "pod", POD, "--now")
    until(lambda: _uid(kube) not in ("", before), "another Postgres", 120)
    said = kubectl("-n", NAMESPACE, "logs", POD)
    assert "was not properly shut down" in said, f"expected a Postgres that was killed, got\n{said}"


def _uid(kube: Kube) -> str:
    """Of its pod, "" while none is ready."""
    pod = kube.get(PODS, NAMESPACE, POD)
    return str(pod["metadata"]["uid"]) if pod is not None and _ready(pod) else ""


def _ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def _objects() -> dict[str, Any]:
    password = secrets.token_hex(16)
    url = f"postgresql://serinus:{password}@{NAME}.{NAMESPACE}:{PORT}/postgres"
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "PASSWORD_FILE", "value": "/var/run/secrets/database/password"}],
        # Not by its port: that listens before what a killed one left is recovered.
        "readinessProbe": {
            "exec": {"command": ["pg_isready", "--host=127.0.0.1"]},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
        },
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": kserve.container_security(),
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # of the container
            {"name": "password", "mountPath": "/var/run/secrets/database", "readOnly": True},
        ],
    }
    file = {"key": "password", "path": "password"}
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001},
        "containers": [container],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": NAME}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "password", "secret": {"secretName": SECRET["name"], "items": [file]}},
        ],
    }
    labels = {"app": NAME}
    # Of a StatefulSet's pod there are never two. A Deployment replaces one that is on its way out at once, and for a
    # second two servers write the same files: what the old one commits then is overwritten by the new one.
    server = {
        "serviceName": NAME,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            _object("v1", "Secret", SECRET["name"], stringData={SECRET["key"]: url, "password": password}),
            _object("v1", "PersistentVolumeClaim", NAME, spec=claim),
            _object("v1", "Service", NAME, spec={"selector": labels, "ports": [{"port": PORT}]}),
            _object("apps/v1", "StatefulSet", NAME, spec=server),
        ],
    }


def _object(api: str, kind: str, name: str, **parts: Any) -> dict[str, Any]:
    about = {"name": name, "namespace": NAMESPACE, "labels": {"app": NAME}}
    return {"apiVersion": api, "kind": kind, "metadata": about, **parts}
