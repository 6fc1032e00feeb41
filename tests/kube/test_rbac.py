"""What the chart's roles let whom do, asked of a real API server; and what they do not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from serinus import loading
from serinus.adapters.kube import (
    CRON_JOBS,
    EVENTS,
    LEASES,
    MODEL_LOOPS,
    PODS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Kind,
    Kube,
)
from serinus.errors import Fatal
from serinus.render import collecting, jobs, names
from serinus.render.collecting import Collector
from serinus.render.names import GROUP
from serinus.spec import ModelLoop
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
CLUSTER_ROLE_BINDINGS = Kind(
    "rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
OPERATOR = "system:serviceaccount:serinus:serinus-operator"
MADE = {kind: f"system:serviceaccount:{AWAY}:{names.job('my-model', kind)}" for kind in (*jobs.KINDS, "predictor")}
"""The accounts that the operator makes for a loop with everything."""
COMMON = {
    "serinus.dev/modelloops my-model": "get",
    "serinus.dev/looprequests": "create get list",
    "serinus.dev/modelapprovals": "get list",
}
OF_MADE: dict[str, dict[str, str]] = {
    "drift": COMMON | {"serinus.dev/modelloops/records my-model": "get"},
    "quality": COMMON | {"serinus.dev/modelloops/records my-model": "get"},
    "intake": COMMON
    | {"serinus.dev/modelloops/labels my-model": "create", "serinus.dev/modelloops/records my-model": "get"},
    "predictor": {"serinus.dev/modelloops/predictions my-model": "create"},
}
"""All that these accounts may do in the loop's namespace."""
EVERYWHERE = {
    "serinus.dev/modelloops": "get list watch patch",
    "serinus.dev/modelloops/status": "patch",
    "serinus.dev/modelloops/finalizers": "update",
    "serinus.dev/modelloops/predictions": "create",
    "serinus.dev/modelloops/labels": "create",
    "serinus.dev/modelloops/records": "get",
    "serinus.dev/modelloops/audit": "create",
    "serinus.dev/looprequests": "get list watch create delete",
    "serinus.dev/modelapprovals": "get list watch",
    "serving.kserve.io/inferenceservices": "get list watch create patch delete",
    "gateway.networking.k8s.io/httproutes": "get list watch create patch delete",
    "/pods": "list",
    "discovery.k8s.io/endpointslices": "list",
    "serving.knative.dev/revisions": "list",
    "batch/cronjobs": "list create patch delete",
    "/serviceaccounts": "list create patch delete",
    "rbac.authorization.k8s.io/roles": "list create patch delete",
    "rbac.authorization.k8s.io/rolebindings": "list create patch delete",
    "/events": "create",
}
"""All that the operator may do in namespaces whose loops it drives."""
AT_HOME = {
    **EVERYWHERE,
    "coordination.k8s.io/leases": "create",
    "coordination.k8s.io/leases serinus-operator": "get patch",
}
NOBODY_MAY = (
    ("get", "", "secrets"), ("list", "", "secrets"), ("create", "", "pods"), ("create", "", "pods/exec"),
    ("get", "", "pods/log"), ("create", "", "pods/portforward"), ("delete", "", "pods"), ("get", "", "configmaps"),
    ("create", "", "serviceaccounts/token"), ("impersonate", "", "users"), ("delete", "", "namespaces"),
    ("create", "apps", "deployments"), ("create", "batch", "jobs"),
    ("escalate", "rbac.authorization.k8s.io", "roles"), ("bind", "rbac.authorization.k8s.io", "clusterroles"),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
    ("create", "serinus.dev", "modelapprovals"), ("delete", "serinus.dev", "modelapprovals"),
    ("patch", "serinus.dev", "modelapprovals"), ("delete", "serinus.dev", "modelloops"),
    ("delete", "apiextensions.k8s.io", "customresourcedefinitions"),
)  # fmt: skip
PEOPLE: dict[str, tuple[tuple[str, str], ...]] = {
    "viewer": (("get", "modelloops"), ("list", "looprequests"), ("watch", "modelapprovals")),
    "editor": (
        *(("create", "modelloops"), ("patch", "modelloops"), ("delete", "modelloops"), ("create", "looprequests")),
        *(("get", "modelapprovals"), ("get", "modelloops/status")),
        *(("create", "modelloops/labels"), ("get", "modelloops/records")),
    ),
    "approver": (("get", "modelloops"), ("create", "modelapprovals"), ("get", "modelapprovals")),
    "eraser": (("get", "modelloops/records"), ("delete", "modelloops/records")),
    "auditor": (("get", "modelloops/audit"), ("get", "modelloops/records"), ("list", "modelapprovals")),
}
NEVER: dict[str, tuple[tuple[str, str], ...]] = {
    "viewer": (
        *(("create", "modelloops"), ("patch", "modelloops"), ("create", "looprequests")),
        *(("create", "modelloops/labels"), ("get", "modelloops/records")),
    ),
    "editor": (
        *(("patch", "modelloops/status"), ("delete", "looprequests"), ("update", "looprequests")),
        *(("delete", "modelloops/records"), ("get", "modelloops/audit")),
    ),
    "approver": (
        *(("patch", "modelloops"), ("create", "looprequests"), ("patch", "modelapprovals")),
        *(("create", "modelloops/labels"), ("get", "modelloops/records")),
    ),
    "eraser": (("patch", "modelloops"), ("create", "modelloops/labels"), ("get", "modelloops/audit")),
    "auditor": (("patch", "modelloops"), ("create", "modelloops/labels"), ("delete", "modelloops/records")),
}
"""Beside what nobody may: handing on predictions, writing into the audit trail, deleting approvals, and for all but
approvers making them."""


@pytest.fixture(autouse=True, scope="module")
def _roles(server: ApiServer) -> None:
    kube_ledgers.install(server)
    namespaced = ("--values", str(FILES["namespaced"]), "--set", f"watchNamespace={TEAM}")
    for namespace, made in ((HOME, objects("default")), (TEAM, chart.rendered(*namespaced, namespace=TEAM))):
        server.namespace(namespace)
        _apply(server, namespace, (o for o in made if o["kind"] in RIGHTS))
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
        until(lambda u=user, n=namespace: _may(server, u, "create", "", "events", n), f"{user} may work")  # type: ignore[misc]
        until(lambda u=user: _may(server, u, "create", "coordination.k8s.io", "leases", u.split(":")[2]), "the lease")  # type: ignore[misc]
    for person in PEOPLE:
        until(lambda p=person: _may(server, p, "get", "serinus.dev", "modelloops", AWAY), f"{person} may see")  # type: ignore[misc]


def test_the_operator_may_do_what_it_needs_and_nothing_else(server: ApiServer) -> None:
    operator = server.service_account(HOME, "serinus-operator")
    assert _all_of(operator, AWAY) == EVERYWHERE
    assert _all_of(operator, HOME) == AT_HOME


def test_an_operator_for_one_namespace_may_do_nothing_in_another(server: ApiServer) -> None:
    operator = server.service_account(TEAM, "serinus-operator")
    assert _all_of(operator, TEAM) == AT_HOME
    assert _all_of(operator, AWAY) == {}


@pytest.mark.parametrize(("verb", "group", "resource"), NOBODY_MAY, ids=[f"{v}-{r}" for v, _, r in NOBODY_MAY])
def test_neither_the_operator_nor_what_it_makes_may(server: ApiServer, verb: str, group: str, resource: str) -> None:
    _jobs(server, server.service_account(HOME, "serinus-operator"))
    for namespace in (HOME, AWAY, ""):
        for user in (OPERATOR, *MADE.values()):
            assert not _may(server, user, verb, group, resource, namespace), f"{user} in {namespace!r}"


def test_secrets_are_refused_when_really_asked_for(server: ApiServer) -> None:
    operator = server.service_account(HOME, "serinus-operator")
    with pytest.raises(
        Fatal, match=r'403: secrets is forbidden: User "system:serviceaccount:serinus:serinus-operator"'
    ):
        operator.list(SECRETS, AWAY)
    with pytest.raises(Fatal, match="403"):
        operator.create(PODS, AWAY, {"metadata": {"name": "shell"}, "spec": {"containers": []}})


def test_the_operator_makes_jobs_with_their_accounts_and_rights(server: ApiServer) -> None:
    operator = server.service_account(HOME, "serinus-operator")
    _jobs(server, operator)
    made = {o["metadata"]["name"] for o in operator.list(CRON_JOBS, AWAY)}
    assert made == {names.job("my-model", kind) for kind in jobs.KINDS}
    operator.create(EVENTS, AWAY, _event())


def test_an_operator_for_one_namespace_makes_jobs_too(server: ApiServer) -> None:
    _jobs(server, server.service_account(TEAM, "serinus-operator"), TEAM)


def test_the_operator_cannot_give_what_it_does_not_have(server: ApiServer) -> None:
    operator = server.service_account(HOME, "serinus-operator")
    for name, rule in (
        ("secrets", {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}),
        ("approvals", {"apiGroups": ["serinus.dev"], "resources": ["modelapprovals"], "verbs": ["create"]}),
        ("everything", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
    ):
        role = {"apiVersion": ROLES.api, "kind": "Role", "metadata": {"name": name}, "rules": [rule]}
        with pytest.raises(Fatal, match="attempting to grant RBAC permissions not currently held"):
            operator.apply(ROLES, AWAY, role)
    body = {
        "apiVersion": ROLE_BINDINGS.api,
        "kind": "RoleBinding",
        "metadata": {"name": "everything"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "serinus-operator", "namespace": HOME}],
    }
    with pytest.raises(Fatal, match="attempting to grant RBAC permissions not currently held"):
        operator.apply(ROLE_BINDINGS, AWAY, body)


def test_the_operator_takes_its_own_lease_and_no_other(server: ApiServer) -> None:
    operator = server.service_account(HOME, "serinus-operator")
    lease = {"metadata": {"name": "serinus-operator"}, "spec": {"holderIdentity": "one"}}
    operator.create(LEASES, HOME, lease)
    operator.patch(LEASES, HOME, "serinus-operator", {"spec": {"holderIdentity": "two"}})
    with pytest.raises(Fatal, match="403"):
        operator.get(LEASES, HOME, "another")
    with pytest.raises(Fatal, match="403"):
        operator.create(LEASES, AWAY, lease)


@pytest.mark.parametrize("kind", MADE)
def test_what_the_operator_makes_may_do_what_it_needs_for_its_own_loop_and_nothing_else(
    server: ApiServer, kind: str
) -> None:
    _jobs(server, server.service_account(HOME, "serinus-operator"))
    assert _all_of(server.service_account(AWAY, names.job("my-model", kind)), AWAY) == OF_MADE[kind]
    user = MADE[kind]
    for what, verb in (("predictions", "create"), ("labels", "create"), ("records", "get")):
        resource = f"modelloops/{what}"
        mine = f"serinus.dev/{resource} my-model" in OF_MADE[kind]
        assert _may(server, user, verb, GROUP, resource, AWAY, "my-model") is mine
        assert not _may(server, user, verb, GROUP, resource, AWAY, "another")
        assert not _may(server, user, verb, GROUP, resource, HOME, "my-model")
    for verb, resource in (
        ("delete", "modelloops/records"),
        ("create", "modelloops/audit"),
        ("get", "modelloops/audit"),
    ):
        assert not _may(server, user, verb, GROUP, resource, AWAY, "my-model")
    assert not _may(server, user, "get", GROUP, "modelloops", AWAY, "another")
    assert not _may(server, user, "patch", GROUP, "modelloops/status", AWAY, "my-model")
    assert not _may(server, user, "create", GROUP, "looprequests", HOME)


@pytest.mark.parametrize("person", PEOPLE)
def test_people_may_what_their_role_says(server: ApiServer, person: str) -> None:
    for verb, resource in PEOPLE[person]:
        assert _may(server, person, verb, "serinus.dev", resource, AWAY), f"{verb} {resource}"
        assert not _may(server, person, verb, "serinus.dev", resource, HOME), f"{verb} {resource} where nobody let them"


@pytest.mark.parametrize("person", PEOPLE)
def test_people_may_not_what_their_role_does_not_say(server: ApiServer, person: str) -> None:
    nobody = (("delete", "modelapprovals"), ("update", "modelapprovals"))
    ours = (("create", "modelloops/predictions"), ("create", "modelloops/audit"))
    for verb, resource in (*NEVER[person], *nobody, *ours):
        assert not _may(server, person, verb, "serinus.dev", resource, AWAY), f"{verb} {resource}"
    assert _may(server, person, "create", "serinus.dev", "modelapprovals", AWAY) is (person == "approver")


def test_an_editor_is_really_refused_what_only_the_operator_may(server: ApiServer) -> None:
    editor = server.impersonate("editor")
    document = _document("edited")
    editor.apply(MODEL_LOOPS, AWAY, document)
    with pytest.raises(Fatal, match="403"):
        editor.patch(MODEL_LOOPS, AWAY, document["metadata"]["name"], {"status": {"champion": 7}}, "status")


def _apply(server: ApiServer, namespace: str, things: Iterable[Object]) -> None:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(things)})
    done = server.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=listed)
    assert done.returncode == 0, done.stderr


def _may(server: ApiServer, user: str, verb: str, group: str, resource: str, namespace: str, name: str = "") -> bool:
    kind, _, part = resource.partition("/")
    asked = {
        "verb": verb, "group": group, "resource": kind, "subresource": part, "namespace": namespace, "name": name,
    }  # fmt: skip
    groups = ["system:authenticated"]
    if user.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"]
    body = {"spec": {"user": user, "groups": groups, "resourceAttributes": asked}}
    return bool(server.kube.create(REVIEWS, None, body)["status"]["allowed"])


def _all_of(who: Kube, namespace: str) -> dict[str, str]:
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


def _jobs(server: ApiServer, operator: Kube, namespace: str = AWAY) -> None:
    """What the operator does for a loop with everything."""
    document = _document("my-model")
    document["spec"] |= {
        "collect": {},
        "labels": {"source": {"files": {"uri": "labels/"}, "id": "id", "value": "v"}},
        "quality": {},
        "newData": {"rows": 1000},
        "drift": {"confirm": {"detector": "mmd"}},
    }
    loop = loading.parse(yaml.safe_dump(document))
    assert isinstance(loop, ModelLoop)
    here = jobs.Surroundings(
        "serinus/control:0.1.0", {}, pipeline_image="serinus/pipeline:0.1.0",
        collector=Collector("http://collector:8080", "/var/run/secrets/serinus/collector/token"),
    )  # fmt: skip
    rendered = [jobs.objects(loop, job, namespace, here, suspend=True) for job in jobs.jobs(loop, here)]
    for made in (collecting.predictor_account(loop.name, namespace), *rendered):
        for kind, body in zip((SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS, CRON_JOBS), made, strict=False):
            operator.apply(kind, namespace, body)
    account = f"system:serviceaccount:{namespace}:my-model"
    accounts = [f"{account}-{each}" for each in jobs.KINDS]
    until(lambda: all(_may(server, who, "list", GROUP, "looprequests", namespace) for who in accounts), "jobs may work")
    until(
        lambda: _may(server, f"{account}-predictor", "create", GROUP, "modelloops/predictions", namespace, "my-model"),
        "predictors may work",
    )


def _event() -> dict[str, Any]:
    return {
        "metadata": {"generateName": "my-model."},
        "involvedObject": {"kind": "ModelLoop", "name": "my-model", "namespace": AWAY},
        "reason": "Promoted", "message": "as a test", "type": "Normal",
    }  # fmt: skip


def _document(name: str) -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(EXAMPLE)
    made["metadata"] = {"name": name}
    return made
