"""Accounts of a test's API server, with rights on what the collector guards, and tokens to show to it."""

from __future__ import annotations

import contextlib
from itertools import count
from typing import Any

from serinus.adapters.kube import ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, Kind
from serinus.errors import Conflict
from serinus.render.names import GROUP
from services.collector.auth import ACCESS_REVIEWS, AUDIENCE
from tests.servers.kubernetes import ApiServer
from tests.servers.prometheus import until

CLUSTER_ROLES = Kind("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Kind(
    "rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
_numbers = count()


def collectors(server: ApiServer, namespace: str, account: str) -> None:
    """Give an account what the collector itself needs: to ask who somebody is and may, and to look at loops."""
    rights(server, namespace, account, {"modelloops": "get"}, everywhere=True)
    body = binding("collector-asks", namespace, account, "ClusterRole", "system:auth-delegator")
    server.kube.apply(CLUSTER_ROLE_BINDINGS, None, {"kind": "ClusterRoleBinding", **body})
    user = f"system:serviceaccount:{namespace}:{account}"
    until(lambda: may(server, user, "", "subjectaccessreviews", "create", "authorization.k8s.io"), "it may ask")


def token(server: ApiServer, namespace: str, name: str, audience: str = AUDIENCE) -> str:
    """A token of an account for that audience; makes the account when there is none."""
    with contextlib.suppress(Conflict):
        server.kube.create(SERVICE_ACCOUNTS, namespace, {"metadata": {"name": name}})
    request = Kind("v1", f"serviceaccounts/{name}/token", "TokenRequest")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [audience]}}
    return str(server.kube.create(request, namespace, body)["status"]["token"])


def binding(name: str, namespace: str, account: str, kind: str, role: str) -> dict[str, Any]:
    """The body of a binding of a role to an account."""
    return {
        "apiVersion": ROLE_BINDINGS.api,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


def rights(
    server: ApiServer, namespace: str, account: str, given: dict[str, str], everywhere: bool = False, loop: str = ""
) -> str:
    """Give an account rights on resources of our group, and wait until the authorizer knows; returns its user name."""
    name = f"{namespace}-{account}-{next(_numbers)}"
    rules = [
        {
            "apiGroups": [GROUP],
            "resources": [resource],
            "verbs": verbs.split(),
            **({"resourceNames": [loop]} if loop else {}),
        }
        for resource, verbs in given.items()
    ]
    role = {"apiVersion": ROLES.api, "metadata": {"name": name}, "rules": rules}
    if everywhere:
        server.kube.apply(CLUSTER_ROLES, None, {"kind": "ClusterRole", **role})
        body = binding(name, namespace, account, "ClusterRole", name)
        server.kube.apply(CLUSTER_ROLE_BINDINGS, None, {"kind": "ClusterRoleBinding", **body})
    else:
        server.kube.apply(ROLES, namespace, {"kind": "Role", **role})
        server.kube.apply(
            ROLE_BINDINGS, namespace, {"kind": "RoleBinding", **binding(name, namespace, account, "Role", name)}
        )
    user = f"system:serviceaccount:{namespace}:{account}"
    where = "" if everywhere else namespace
    for resource, verbs in given.items():
        verb = verbs.split()[0]
        until(lambda r=resource, v=verb: may(server, user, where, r, v, loop=loop), f"{user} may {verb} {resource}")  # type: ignore[misc]
    return user


def may(
    server: ApiServer, user: str, namespace: str, resource: str, verb: str, group: str = GROUP, loop: str = ""
) -> bool:
    """What the authorizer knows by now."""
    name, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": name, "namespace": namespace, "name": loop}
    spec = {"user": user, "resourceAttributes": {**attributes, **({"subresource": subresource} if subresource else {})}}
    body = {"apiVersion": ACCESS_REVIEWS.api, "kind": ACCESS_REVIEWS.kind, "spec": spec}
    return bool(server.kube.create(ACCESS_REVIEWS, None, body)["status"]["allowed"])
