"""The admission policies on an API server, for as long as a test wants them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from serinus.adapters.kube import LOOP_REQUESTS, MODEL_APPROVALS, MODEL_LOOPS, Kind, Object
from serinus.errors import Fatal
from serinus.render import admission
from tests.servers import kube_ledgers
from tests.servers.kubernetes import ApiServer
from tests.servers.prometheus import until

_API = "admissionregistration.k8s.io/v1"
POLICIES = Kind(_API, "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False)
BINDINGS = Kind(_API, "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", namespaced=False)
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@contextlib.contextmanager
def policies_hold(server: ApiServer) -> Iterator[None]:
    """The CRDs and the policies, in force within the block and no longer."""
    kube_ledgers.install(server)
    for each in admission.policies():
        server.kube.apply(_kind(each), None, each)
    try:
        _wait(server, True)
        yield
    finally:
        for each in admission.policies():
            server.kube.delete(_kind(each), None, each["metadata"]["name"])
        _wait(server, False)


def _kind(policy: dict[str, Any]) -> Kind:
    return POLICIES if policy["kind"] == POLICIES.kind else BINDINGS


def _wait(server: ApiServer, held: bool) -> None:
    """An API server hears of policies by a watch: until each refuses what it should, or none does."""
    namespace = server.namespace("policies-probes")
    for kind, probe in _probes():
        until(lambda k=kind, p=probe: _refuses(server, namespace, k, p) is held, f"held: {held}")  # type: ignore[misc]


def _refuses(server: ApiServer, namespace: str, kind: Kind, probe: Object) -> bool:
    try:
        server.kube.create(kind, namespace, probe)
    except Fatal:
        return True
    server.kube.delete(kind, namespace, "probe")
    return False


def _probes() -> Iterator[tuple[Kind, Object]]:
    """Objects that the policies refuse and nothing else does."""
    approval = {"loop": "any", "version": 1, "decision": "approve", "approver": "nobody"}
    yield MODEL_APPROVALS, {**_typed(MODEL_APPROVALS), "metadata": {"name": "probe"}, "spec": approval}
    request = {"loop": "any", "kind": "run", "by": "nobody"}
    yield LOOP_REQUESTS, {**_typed(LOOP_REQUESTS), "metadata": {"name": "probe"}, "spec": request}
    dropped = {"name": "probe", "annotations": {_APPLIED: '{"spec":{"drift":null}}'}}
    yield MODEL_LOOPS, {**kube_ledgers.model_loop("probe"), "metadata": dropped}


def _typed(kind: Kind) -> Object:
    return {"apiVersion": kind.api, "kind": kind.kind}
