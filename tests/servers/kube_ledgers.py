"""Namespaces with ModelLoops on a real API server, and clients with the rights that a ledger needs and no more."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import yaml
from kubernetes import client

from serinus.adapters.kube import MODEL_LOOPS, ROLE_BINDINGS, ROLES, Kind, Kube, Object
from serinus.errors import Fatal
from serinus.render import crd
from serinus.render.names import GROUP
from services.cli.tools import EXAMPLE
from tests.servers.kubernetes import ApiServer
from tests.servers.prometheus import until

CRDS = Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
_NUMBERS = count(1)

Rules = dict[str, Sequence[str]]  # resource -> verbs
READER: Rules = {"modelloops": ["get"], "looprequests": ["list"], "modelapprovals": ["list"]}
ASKER: Rules = {**READER, "looprequests": ["list", "create"]}
APPROVER: Rules = {**READER, "modelapprovals": ["list", "create", "get"]}
WRITER: Rules = {**READER, "modelloops/status": ["patch"], "looprequests": ["list", "delete"]}
EVERYTHING: Rules = {**WRITER, **APPROVER, "looprequests": ["list", "create", "delete"]}
"""What all verbs of the ledger together need; the others are for those who call some of them."""


def loops(server: ApiServer, *names: str) -> str:
    """A new namespace with these ModelLoops; its name."""
    install(server)
    namespace = server.namespace(f"ledger-{next(_NUMBERS)}")
    for name in names:
        server.kube.create(MODEL_LOOPS, namespace, model_loop(name))
    return namespace


def model_loop(name: str) -> Object:
    """A ModelLoop that nobody drives."""
    document: Object = yaml.safe_load(EXAMPLE)
    return {**document, "metadata": {"name": name}}


def allow(server: ApiServer, namespace: str, user: str, rules: Rules = EVERYTHING) -> Kube:
    """The client of a user with these rights in the namespace, and no others."""
    may = [{"apiGroups": [GROUP], "resources": [what], "verbs": list(verbs)} for what, verbs in rules.items()]
    about = {"name": f"{user}-may"}
    server.kube.apply(ROLES, namespace, {"apiVersion": ROLES.api, "kind": "Role", "metadata": about, "rules": may})
    binding = {
        "apiVersion": ROLE_BINDINGS.api,
        "kind": "RoleBinding",
        "metadata": about,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": about["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    server.kube.apply(ROLE_BINDINGS, namespace, binding)
    kube = server.impersonate(user)
    until(lambda: _may(kube, namespace), f"{user} may read in {namespace}")  # the authorizer hears of it by a watch
    return kube


def nowhere() -> Kube:
    """A client of an API server that is away."""
    configuration = client.Configuration()
    configuration.host, configuration.retries = "https://127.0.0.1:9", False
    return Kube(client.ApiClient(configuration), timeout=1)


def install(server: ApiServer) -> None:
    """Have the CRDs, ready to be used. Idempotent."""
    for definition in crd.crds():
        server.kube.apply(CRDS, None, definition)
        name = definition["metadata"]["name"]
        until(lambda name=name: _established(server.kube, name), f"{name} is established")  # type: ignore[misc]
    until(lambda: server.kube.list(MODEL_LOOPS, "default") is not None, "ModelLoops are served")


def _established(kube: Kube, name: str) -> bool:
    conditions = ((kube.get(CRDS, None, name) or {}).get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _may(kube: Kube, namespace: str) -> bool:
    try:
        kube.get(MODEL_LOOPS, namespace, "any")
    except Fatal:
        return False
    return True
