"""KServe's kinds on an API server where nothing runs, and a test that plays KServe, the nodes and the gateway.

The kinds have no schema here: whether rendered objects fit the real ones, tests/cluster asks the real ones.
"""

from __future__ import annotations

import uuid
from typing import Any

from serinus.adapters.kube import (
    ENDPOINT_SLICES,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    PODS,
    REVISIONS,
    Kind,
    Kube,
    Object,
)
from serinus.errors import Conflict, Fatal
from serinus.render import names
from tests.servers.kubernetes import ApiServer
from tests.servers.prometheus import until

CRDS = Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)


def install(server: ApiServer) -> None:
    """Have InferenceServices, HTTPRoutes and Revisions. Idempotent."""
    for kind in (INFERENCE_SERVICES, HTTP_ROUTES, REVISIONS):
        server.kube.apply(CRDS, None, _definition(kind))
        until(lambda kind=kind: _served(server.kube, kind), kind.plural)  # type: ignore[misc]


def namespace(server: ApiServer, prefix: str) -> str:
    """A new namespace in which pods can be made."""
    made = server.namespace(f"{prefix}-{uuid.uuid4().hex[:8]}")
    server.service_account(made, "default")
    return made


def _definition(kind: Kind) -> Object:
    group, _, version = kind.api.partition("/")
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    return {
        "apiVersion": CRDS.api,
        "kind": CRDS.kind,
        # The group of the Gateway API is one that Kubernetes protects.
        "metadata": {
            "name": f"{kind.plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


def _served(kube: Kube, kind: Kind) -> bool:
    try:
        kube.create(kind, "default", {"apiVersion": kind.api, "kind": kind.kind, "metadata": {"name": "probe"}})
    except Conflict:
        return True
    except Fatal:
        return False
    kube.delete(kind, "default", "probe")
    return True


def up(kube: Kube, namespace: str, loop: str, version: int, ready: bool = True) -> None:
    """A pod of the version runs, and its Service knows it."""
    labels = {**names.labels(loop, version), "component": "predictor"}
    name = names.service(loop, version)
    about: dict[str, Any] = {"name": name, "labels": labels}
    container = {"name": "kserve-container", "image": "none"}
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": about,
        "spec": {"containers": [container], "automountServiceAccountToken": False},
    }  # fmt: skip
    kube.apply(PODS, namespace, pod)
    conditions = [{"type": "Ready", "status": str(ready)}]
    kube.patch(PODS, namespace, name, {"status": {"conditions": conditions}}, "status")
    endpoint = {"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}
    slices = {
        "apiVersion": ENDPOINT_SLICES.api, "kind": ENDPOINT_SLICES.kind, "metadata": about, "addressType": "IPv4",
        "endpoints": [endpoint],
    }  # fmt: skip
    kube.apply(ENDPOINT_SLICES, namespace, slices)


def accept(kube: Kube, namespace: str, loop: str, status: str = "True", message: str = "") -> None:
    """The gateway takes the route up as it is now, or says why it does not."""
    route = kube.get(HTTP_ROUTES, namespace, loop)
    assert route is not None, "expected a route to accept"
    condition = {
        "type": "Accepted", "status": status, "reason": "Accepted" if status == "True" else "NoMatchingParent",
        "message": message, "observedGeneration": route["metadata"]["generation"],
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    parent = {"parentRef": route["spec"]["parentRefs"][0], "controllerName": "test/gate", "conditions": [condition]}
    kube.patch(HTTP_ROUTES, namespace, loop, {"status": {"parents": [parent]}}, "status")
