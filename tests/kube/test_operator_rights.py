"""The operator with the rights that the chart gives it, and no others, through a loop's whole life."""

from __future__ import annotations

import re

from serinus.adapters.kube import INFERENCE_SERVICES, MODEL_LOOPS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, Kind, Kube
from serinus.errors import Forbidden
from tests.chart.scenarios import FILES
from tests.kube.test_operator_life import World, world  # noqa: F401
from tests.servers.kubernetes import ApiServer
from tests.servers.mlflow import mlflow_uri  # noqa: F401
from tools import chart

NAMES = {kind.kind: kind for kind in (SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS)}


def test_the_charts_rights_for_one_namespace_are_enough_for_a_loops_whole_life(
    server: ApiServer,
    world: World,  # noqa: F811
) -> None:
    values = ("--values", str(FILES["namespaced"]), "--set", f"watchNamespace={world.namespace}")
    for made in chart.rendered(*values, namespace=world.namespace):
        if made["kind"] in NAMES:
            made["metadata"].pop("namespace", None)
            server.kube.apply(NAMES[made["kind"]], world.namespace, made)
    account = server.service_account(world.namespace, "serinus-operator")
    world.stage.until(lambda: _may(account, INFERENCE_SERVICES, world.namespace), "the authorizer has heard of it")
    operator = world.stage.leading(server.kubeconfig_of_account(world.namespace, "serinus-operator"))
    world.loop("rights")
    world.serve("rights")
    world.loop("rights", drift={"enabled": False})
    world.stage.until(lambda: "rights-drift" not in world.names(ROLES), "the drift job is taken away")
    world.stage.kube.delete(MODEL_LOOPS, world.namespace, "rights")
    world.stage.until(lambda: world.stage.kube.get(MODEL_LOOPS, world.namespace, "rights") is None, "it is gone", 30)
    assert not re.search(r'kube_requests_total\{code="403"', operator.get("/metrics").text)
    assert not re.search(r"\b403\b", operator.said)  # as a word: digests have such digits too


def _may(account: Kube, kind: Kind, namespace: str) -> bool:
    try:
        account.list(kind, namespace)
    except Forbidden:
        return False
    return True
