"""The installation's collector, asked as those ask it who have an account of the cluster: with a token for it alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from serinus.adapters.collector_api import CollectorClient
from serinus.adapters.kube import PODS, ROLE_BINDINGS, SERVICE_ACCOUNTS
from serinus.render.collecting import AUDIENCE, Collector
from tests.cluster.installation import NAMESPACE, RELEASE, Installation, forwarded, kubectl
from tests.servers.envoy import until

SERVICE, PORT = f"{RELEASE}-collector", 8085
COMPONENT = {"app.kubernetes.io/component": "collector"}


@contextlib.contextmanager
def reached() -> Iterator[str]:
    """The collector's URL, for as long as the block lasts and its pod lives."""
    with forwarded(NAMESPACE, f"svc/{SERVICE}", PORT) as url:
        yield url


def token(namespace: str, account: str, audience: str = AUDIENCE) -> str:
    """Of an account, as a pod of it would have one; "" as audience is a token for the API server."""
    wanted = ("--audience", audience) if audience else ()
    return kubectl("-n", namespace, "create", "token", account, *wanted, "--duration", "10m").strip()


def account(installation: Installation, namespace: str, name: str, role: str = "") -> str:
    """A ServiceAccount, with a role of the chart's in its namespace; returns its token for the collector."""
    kube = installation.kube
    about = {"name": name, "namespace": namespace}
    kube.apply(SERVICE_ACCOUNTS, namespace, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about})
    if role:
        body = {
            "apiVersion": ROLE_BINDINGS.api,
            "kind": "RoleBinding",
            "metadata": about,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{RELEASE}-{role}"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
        kube.apply(ROLE_BINDINGS, namespace, body)
    return token(namespace, name)


def asked(url: str, path: str, body: dict[str, Any], bearer: str = "") -> httpx.Response:
    """POST to the collector."""
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    return httpx.post(f"{url}{path}", json=body, headers=headers, timeout=30, trust_env=False)


def prediction(id: str) -> dict[str, Any]:
    """A body with one prediction."""
    at = datetime.now(UTC).isoformat()
    row = {"id": id, "version": 1, "time": at, "features": {"weight": 1.0}, "score": 0.75, "answer": "yes", "key": ""}
    return {"hash": [], "predictions": [row]}


def label(id: str, truth: str = "yes") -> dict[str, Any]:
    """A body with one label."""
    return {"labels": [{"id": id, "truth": truth}]}


def client(url: str, namespace: str, bearer: str, folder: Path) -> CollectorClient:
    """Who asks for the loops of a namespace by this token."""
    path = folder / "collector-token"
    path.write_text(bearer)
    return CollectorClient(url, namespace, str(path))


def settled(installation: Installation, count: int) -> None:
    """Wait until so many of its pods are ready, and no other one is there any longer."""

    def alone() -> bool:
        pods = installation.kube.list(PODS, NAMESPACE, COMPONENT)
        return len(pods) == count and all(map(_ready, pods))

    until(alone, f"{count} collectors", 120)


def killed(installation: Installation) -> None:
    """The collector's pod, at once; waits until another one is ready."""
    before = {p["metadata"]["name"] for p in _pods(installation)}
    for name in before:
        kubectl("-n", NAMESPACE, "delete", "pod", name, "--grace-period", "0", "--force")
    until(lambda: any(_ready(p) and p["metadata"]["name"] not in before for p in _pods(installation)), "another", 120)


def _pods(installation: Installation) -> list[dict[str, Any]]:
    pods = installation.kube.list(PODS, NAMESPACE, COMPONENT)
    return [p for p in pods if "deletionTimestamp" not in p["metadata"]]


def _ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def volume() -> tuple[dict[str, Any], dict[str, Any]]:
    """What gives a pod a token for the collector, and where it is mounted."""
    made = Collector("", "/var/run/secrets/serinus/collector/token").volume
    assert made is not None
    return made
