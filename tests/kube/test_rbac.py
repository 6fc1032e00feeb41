"""What the chart's roles let the operator do, and it those that it makes, asked of a real API server; and what not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from serinus import loading
from serinus.adapters.kube import (
    CRON_JOBS,
    EVENTS,
    LEASES,
    PODS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Kube,
)
from serinus.errors import Fatal
from serinus.render import collecting, jobs, names
from serinus.render.collecting import Collector
from serinus.render.names import GROUP
from serinus.spec import ModelLoop
from tests.servers.kubernetes import ApiServer
from tests.servers.prometheus import until
from tests.servers.rights import AWAY, HOME, OPERATOR, TEAM, all_of, document, may, roles  # noqa: F401

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


def test_the_operator_may_do_what_it_needs_and_nothing_else(server: ApiServer) -> None:
    operator = server.service_account(HOME, "serinus-operator")
    assert all_of(operator, AWAY) == EVERYWHERE
    assert all_of(operator, HOME) == AT_HOME


def test_an_operator_for_one_namespace_may_do_nothing_in_another(server: ApiServer) -> None:
    operator = server.service_account(TEAM, "serinus-operator")
    assert all_of(operator, TEAM) == AT_HOME
    assert all_of(operator, AWAY) == {}


@pytest.mark.parametrize(("verb", "group", "resource"), NOBODY_MAY, ids=[f"{v}-{r}" for v, _, r in NOBODY_MAY])
def test_neither_the_operator_nor_what_it_makes_may(server: ApiServer, verb: str, group: str, resource: str) -> None:
    _jobs(server, server.service_account(HOME, "serinus-operator"))
    for namespace in (HOME, AWAY, ""):
        for user in (OPERATOR, *MADE.values()):
            assert not may(server, user, verb, group, resource, namespace), f"{user} in {namespace!r}"


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
    assert all_of(server.service_account(AWAY, names.job("my-model", kind)), AWAY) == OF_MADE[kind]
    user = MADE[kind]
    for what, verb in (("predictions", "create"), ("labels", "create"), ("records", "get")):
        resource = f"modelloops/{what}"
        mine = f"serinus.dev/{resource} my-model" in OF_MADE[kind]
        assert may(server, user, verb, GROUP, resource, AWAY, "my-model") is mine
        assert not may(server, user, verb, GROUP, resource, AWAY, "another")
        assert not may(server, user, verb, GROUP, resource, HOME, "my-model")
    for verb, resource in (
        ("delete", "modelloops/records"),
        ("create", "modelloops/audit"),
        ("get", "modelloops/audit"),
    ):
        assert not may(server, user, verb, GROUP, resource, AWAY, "my-model")
    assert not may(server, user, "get", GROUP, "modelloops", AWAY, "another")
    assert not may(server, user, "patch", GROUP, "modelloops/status", AWAY, "my-model")
    assert not may(server, user, "create", GROUP, "looprequests", HOME)


def _jobs(server: ApiServer, operator: Kube, namespace: str = AWAY) -> None:
    """What the operator does for a loop with everything."""
    wanted = document("my-model")
    wanted["spec"] |= {
        "collect": {},
        "labels": {"source": {"files": {"uri": "labels/"}, "id": "id", "value": "v"}},
        "quality": {},
        "newData": {"rows": 1000},
        "drift": {"confirm": {"detector": "mmd"}},
    }
    loop = loading.parse(yaml.safe_dump(wanted))
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
    until(lambda: all(may(server, who, "list", GROUP, "looprequests", namespace) for who in accounts), "jobs may work")
    until(
        lambda: may(server, f"{account}-predictor", "create", GROUP, "modelloops/predictions", namespace, "my-model"),
        "predictors may work",
    )


def _event() -> dict[str, Any]:
    return {
        "metadata": {"generateName": "my-model."},
        "involvedObject": {"kind": "ModelLoop", "name": "my-model", "namespace": AWAY},
        "reason": "Promoted", "message": "as a test", "type": "Normal",
    }  # fmt: skip
