"""The chart's roles on a real API server, and what they let whom do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from serinus.adapters.kube import ROLE_BINDINGS, Kind, Kube
from services.cli.tools import EXAMPLE
from tests.chart.scenarios import FILES, Object, objects
from tests.servers import kube_ledgers
from tests.servers.kubernetes import ApiServer
from tests.servers.prometheus import until
from tools import chart

HOME, AWAY, TEAM = "serinus", "elsewhere", "team"
"""Where the operator for every namespace lives, where loops live, and where an operator for one namespace lives."""
RIGHTS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
REVIEWS = Kind("authorization.k8s.io/v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False)
RULES = Kind("authorization.k8s.io/v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False)
OPERATOR = "system:serviceaccount:serinus:serinus-operator"
PEOPLE = ("viewer", "editor", "approver", "auditor", "eraser")


@pytest.fixture(autouse=True, scope="module")
def roles(server: ApiServer) -> None:
    kube_ledgers.install(server)
    namespaced = ("--values", str(FILES["namespaced"]), "--set", f"watchNamespace={TEAM}")
    for namespace, made in ((HOME, objects("default")), (TEAM, chart.rendered(*namespaced, namespace=TEAM))):
        server.namespace(namespace)
        apply(server, namespace, (o for o in made if o["kind"] in RIGHTS))
    server.namespace(AWAY)
    for person in PEOPLE:
        body = {
            "metadata": {"name": f"test-{person}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"serinus-{person}"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}],
        }
        server.kube.apply(ROLE_BINDINGS, AWAY, {"apiVersion": ROLE_BINDINGS.api, "kind": "RoleBinding", **body})
    # The authorizer hears of bindings by a watch.
    for user, namespace in ((OPERATOR, AWAY), (f"system:serviceaccount:{TEAM}:serinus-operator", TEAM)):
        until(lambda u=user, n=namespace: may(server, u, "create", "", "events", n), f"{user} may work")  # type: ignore[misc]
        until(lambda u=user: may(server, u, "create", "coordination.k8s.io", "leases", u.split(":")[2]), "the lease")  # type: ignore[misc]
    for person in PEOPLE:
        until(lambda p=person: may(server, p, "get", "serinus.dev", "modelloops", AWAY), f"{person} may see")  # type: ignore[misc]


def apply(server: ApiServer, namespace: str, things: Iterable[Object]) -> None:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(things)})
    done = server.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=listed)
    assert done.returncode == 0, done.stderr


def may(server: ApiServer, user: str, verb: str, group: str, resource: str, namespace: str, name: str = "") -> bool:
    kind, _, part = resource.partition("/")
    asked = {
        "verb": verb, "group": group, "resource": kind, "subresource": part, "namespace": namespace, "name": name,
    }  # fmt: skip
    groups = ["system:authenticated"]
    if user.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"]
    body = {"spec": {"user": user, "groups": groups, "resourceAttributes": asked}}
    return bool(server.kube.create(REVIEWS, None, body)["status"]["allowed"])


def all_of(who: Kube, namespace: str) -> dict[str, str]:
    """Everything that this account may do in the namespace, but for what every account may."""
    answer = who.create(RULES, None, {"spec": {"namespace": namespace}})["status"]
    assert answer["incomplete"] is False, answer
    found: dict[str, str] = {}
    for rule in answer["resourceRules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                if group in ("authorization.k8s.io", "authentication.k8s.io"):
                    continue  # asking what one may, and who one is
                for name in rule.get("resourceNames", [""]):
                    key = f"{group}/{resource} {name}".strip()
                    found[key] = " ".join(filter(None, (found.get(key, ""), *rule["verbs"])))
    return found


def document(name: str) -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(EXAMPLE)
    made["metadata"] = {"name": name}
    return made
