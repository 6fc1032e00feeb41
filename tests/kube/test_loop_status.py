"""The status of a ModelLoop on a real API server: who may write it, what `kubectl get` makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from serinus.adapters.kube import MODEL_LOOPS
from serinus.facts import Event, RunRecord, Verdict
from serinus.render.status import refused, view
from services.cli.tools import EXAMPLE
from tests.servers import kube_ledgers
from tests.servers.kubernetes import ApiServer
from tests.unit.loop_cases import EMPTY, NOW, SPEC, canary, routing


@pytest.fixture(autouse=True, scope="module")
def _installed(server: ApiServer) -> None:
    kube_ledgers.install(server)


def _loop(name: str = "my-model") -> dict[str, Any]:
    return {**yaml.safe_load(EXAMPLE), "metadata": {"name": name}}


def test_kubectl_get_loop_tells_the_story(server: ApiServer) -> None:
    namespace = server.namespace("status-columns")
    server.kube.create(MODEL_LOOPS, namespace, _loop("flights"))
    verdict = Verdict("errors", "undecided", "too few answers yet")
    status = replace(
        EMPTY,
        champion=3,
        rollout=canary(version=4, stable=3, verdicts=(verdict,)),
        last_run=RunRecord("flights-drift-1", "drift", NOW, NOW, "succeeded", version=4),
    )
    address = "flights.status-columns.models.local"
    shown_now = view(SPEC, 1, status, routing((3, 75), (4, 25)), NOW, address=address)
    server.kube.patch(MODEL_LOOPS, namespace, "flights", {"status": shown_now}, "status")
    shown = server.kubectl("get", "loop", "--namespace", namespace).stdout.splitlines()
    assert [line.split("  ")[0] for line in shown] == ["NAME", "flights"]
    assert " ".join(shown[0].split()) == "NAME CHAMPION CANARY WEIGHT VERDICT DRIFT QUALITY LAST RUN AGE"
    row = "flights 3 4 25 errors: undecided off drift succeeded 2026-03-02T12:00:00Z "
    assert " ".join(shown[1].split()).startswith(row)
    wide = server.kubectl("get", "modelloops", "--namespace", namespace, "--output=wide").stdout
    assert "True" in wide
    assert "flights.status-columns.models.local" in wide


def test_the_status_is_written_by_itself_and_does_not_count_as_a_new_spec(server: ApiServer) -> None:
    namespace = server.namespace("status-status")
    made = server.kube.create(MODEL_LOOPS, namespace, {**_loop(), "status": {"champion": 1}})
    assert "status" not in made
    assert "status" not in server.kube.patch(MODEL_LOOPS, namespace, "my-model", {"status": {"champion": 1}})
    changed = {"status": {"champion": 1}, "spec": {"approval": "required"}}
    patched = server.kube.patch(MODEL_LOOPS, namespace, "my-model", changed, "status")
    assert (patched["status"], patched["spec"]["approval"]) == ({"champion": 1}, "automatic")
    assert patched["metadata"]["generation"] == 1
    edited = server.kube.patch(MODEL_LOOPS, namespace, "my-model", {"spec": {"approval": "required"}})
    assert (edited["metadata"]["generation"], edited["status"]) == (2, {"champion": 1})


def test_the_view_is_kept_as_it_was_made_and_what_it_says_no_more_is_gone(server: ApiServer) -> None:
    namespace = server.namespace("status-view")
    server.kube.create(MODEL_LOOPS, namespace, _loop())
    rolled = Event(NOW, "RolledBack", "version 2 made more errors", 2)
    status = replace(EMPTY, champion=1, rollout=canary(), notices={"metrics": "Prometheus is away"})
    during = view(SPEC, 1, status, None, NOW, address="a.b", troubles={"registry": "away"}, history=(rolled,))
    kept = server.kube.patch(MODEL_LOOPS, namespace, "my-model", {"status": during}, "status")["status"]
    assert kept == {key: value for key, value in during.items() if value is not None}
    later = NOW + timedelta(hours=1)
    after = view(
        SPEC, 1, replace(EMPTY, champion=1), routing((1, 100)), later, address="a.b", conditions=kept["conditions"]
    )
    kept = server.kube.patch(MODEL_LOOPS, namespace, "my-model", {"status": after}, "status")["status"]
    assert kept == {key: value for key, value in after.items() if value is not None}
    assert "canary" not in kept
    wrong = refused("InvalidSpec", "spec.data: expected this, got that", 2, later, kept["conditions"])
    kept = server.kube.patch(MODEL_LOOPS, namespace, "my-model", {"status": wrong}, "status")["status"]
    assert (kept["champion"], kept["observedGeneration"]) == (1, 2)
    waited = ("wait", "loop/my-model", "--for=condition=Degraded", "--timeout=1s", "--namespace", namespace)
    assert server.kubectl(*waited).returncode == 0
