"""LoopRequest and ModelApproval on a real API server: what may be asked, by whom, and that it stays as it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from serinus.adapters.kube import LOOP_REQUESTS, MODEL_APPROVALS, MODEL_LOOPS
from serinus.errors import Fatal
from tests.refused_specs import CLICKS
from tests.servers import kube_ledgers
from tests.servers.kubernetes import ApiServer
from tests.servers.policies import policies_hold

SPACE = "requests"


@pytest.fixture(autouse=True, scope="module")
def _installed(server: ApiServer) -> None:
    kube_ledgers.install(server)
    server.namespace(SPACE)


def _request(**spec: Any) -> dict[str, Any]:
    base = {"loop": "flights", "id": "1", "kind": "run", "by": "somebody", "at": "2026-03-02T12:00:00Z"}
    return {
        "apiVersion": LOOP_REQUESTS.api,
        "kind": "LoopRequest",
        "metadata": {"name": "a-request"},
        "spec": {**base, **spec},
    }


def _approval(**spec: Any) -> dict[str, Any]:
    base = {"loop": "flights", "version": 2, "decision": "approve", "approver": "somebody"}
    return {
        "apiVersion": MODEL_APPROVALS.api,
        "kind": "ModelApproval",
        "metadata": {"name": "an-approval"},
        "spec": {**base, **spec},
    }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "approve"}, "spec.kind: Unsupported value"),
        ({"kind": "drift"}, "expected a finding of kind drift"),
        ({"at": "yesterday"}, "spec.at: Invalid value"),
        ({"version": 0}, "spec.version: Invalid value"),
        ({"loop": ""}, "spec.loop: Invalid value"),
        ({"verion": 1}, ".spec.verion: field not declared in schema"),
    ],
)
def test_a_request_that_nobody_can_mean_is_refused(server: ApiServer, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(Fatal) as refusal:
        server.kube.apply(LOOP_REQUESTS, SPACE, _request(**spec))
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"decision": "perhaps"}, "spec.decision: Unsupported value"),
        ({"version": None}, "spec.version"),
        ({"version": "2"}, "spec.version"),
        ({"approver": ""}, "spec.approver: Invalid value"),
    ],
)
def test_an_approval_that_nobody_can_mean_is_refused(server: ApiServer, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(Fatal) as refusal:
        server.kube.apply(MODEL_APPROVALS, SPACE, _approval(**spec))
    assert message in str(refusal.value)


def test_requests_and_approvals_stay_as_they_were_made(server: ApiServer) -> None:
    namespace = server.namespace("requests-immutable")
    server.kube.create(LOOP_REQUESTS, namespace, _request())
    server.kube.create(MODEL_APPROVALS, namespace, _approval())
    words = "expected the spec as it was made; make another object"
    with pytest.raises(Fatal, match=words):
        server.kube.patch(LOOP_REQUESTS, namespace, "a-request", {"spec": {"reason": "another"}})
    for change in ({"version": 3}, {"decision": "reject"}, {"reason": "another"}):
        with pytest.raises(Fatal, match=words):
            server.kube.patch(MODEL_APPROVALS, namespace, "an-approval", {"spec": change})
    labelled = {"metadata": {"labels": {"seen": "true"}}}
    assert server.kube.patch(MODEL_APPROVALS, namespace, "an-approval", labelled)["spec"]["reason"] == ""


def test_requests_and_approvals_are_told_apart_at_a_glance_and_found_by_their_loop(server: ApiServer) -> None:
    namespace = server.namespace("requests-columns")
    server.kube.create(LOOP_REQUESTS, namespace, _request())
    server.kube.create(MODEL_APPROVALS, namespace, _approval())
    of = ("--namespace", namespace, "--field-selector=spec.loop=flights")
    header, row = server.kubectl("get", "looprequests", *of).stdout.splitlines()
    assert header.split() == ["NAME", "LOOP", "KIND", "BY", "AGE"]
    assert row.split()[:4] == ["a-request", "flights", "run", "somebody"]
    header, row = server.kubectl("get", "modelapprovals", *of).stdout.splitlines()
    assert header.split() == ["NAME", "LOOP", "VERSION", "DECISION", "APPROVER", "AGE"]
    assert row.split()[:5] == ["an-approval", "flights", "2", "approve", "somebody"]
    others = server.kubectl("get", "modelapprovals", "-n", namespace, "--field-selector=spec.loop=other", "-o", "name")
    assert others.stdout == ""


ROBOT = "system:serviceaccount:requests-signed:robot"


@pytest.fixture(scope="module")
def signed(server: ApiServer) -> Iterator[str]:
    """A namespace where alice and a robot may ask and approve, under the policies."""
    namespace = server.namespace("requests-signed")
    for user in ("alice", ROBOT):
        _allow(server, namespace, user)
    with policies_hold(server):
        yield namespace


def _allow(server: ApiServer, namespace: str, user: str) -> None:
    verbs = ["create", "update", "patch", "get"]
    kube_ledgers.allow(server, namespace, user, {"modelloops": ["get"], "looprequests": verbs, "modelapprovals": verbs})


def test_an_approval_bears_the_name_of_who_gives_it(server: ApiServer, signed: str) -> None:
    alice = server.user("alice")
    with pytest.raises(Fatal, match=r"spec\.approver: expected alice, who makes the object, got bob"):
        alice.create(MODEL_APPROVALS, signed, _approval(approver="bob"))
    assert alice.create(MODEL_APPROVALS, signed, _approval(approver="alice"))["spec"]["approver"] == "alice"


def test_who_may_approve_is_a_matter_of_rights(server: ApiServer, signed: str) -> None:
    with pytest.raises(Fatal, match='User "bob" cannot create resource "modelapprovals"'):
        server.user("bob").create(MODEL_APPROVALS, signed, _approval(approver="bob"))


def test_a_request_bears_the_name_of_who_asks(server: ApiServer, signed: str) -> None:
    robot = server.service_account("requests-signed", "robot")
    with pytest.raises(Fatal, match=f"spec.by: expected {ROBOT}, who makes the object, got alice"):
        robot.create(LOOP_REQUESTS, signed, _request(by="alice"))
    assert robot.create(LOOP_REQUESTS, signed, _request(by=ROBOT))["spec"]["by"] == ROBOT


def test_nobody_can_be_named_by_a_later_edit(server: ApiServer, signed: str) -> None:
    alice = server.user("alice")
    finding = {"version": 2, "rows": 700}
    made = _request(by="alice", kind="drift", finding=finding)
    made["metadata"] = {"name": "a-finding"}
    alice.create(LOOP_REQUESTS, signed, made)
    approval = _approval(approver="alice")
    approval["metadata"] = {"name": "a-word"}
    alice.create(MODEL_APPROVALS, signed, approval)
    for kube in (alice, server.kube):
        with pytest.raises(Fatal, match="expected"):
            kube.patch(MODEL_APPROVALS, signed, "a-word", {"spec": {"approver": "bob"}})
        with pytest.raises(Fatal, match="expected"):
            kube.patch(LOOP_REQUESTS, signed, "a-finding", {"spec": {"finding": {"rows": 7}}})
    labelled = {"metadata": {"labels": {"seen": "true"}}}
    assert server.kube.patch(MODEL_APPROVALS, signed, "a-word", labelled)["spec"] == {**approval["spec"], "reason": ""}


SALES = {**CLICKS, "name": "sales", "labels": {"shop": "a", "country": "b"}}
NULLS: dict[str, Any] = {
    "drift": {"drift": None},
    "rollout.guardrails.errors": {"rollout": {"guardrails": {"errors": None}}},
    "rollout.guardrails.rejections": {"rollout": {"guardrails": {"rejections": None, "errors": {"margin": 0.5}}}},
    "rollout.guardrails.slowdown": {"rollout": {"guardrails": {"ratios": [CLICKS, SALES], "slowdown": None}}},
    "rollout.guardrails.scores": {"rollout": {"guardrails": {"ratios": [], "scores": None}}},
    "rollout.guardrails.latency": {"rollout": {"guardrails": {"errors": {"margin": 0.5}, "latency": None}}},
}


@pytest.mark.parametrize("path", NULLS)
def test_a_null_that_kubectl_apply_drops_is_no_silent_default(server: ApiServer, signed: str, path: str) -> None:
    document = kube_ledgers.model_loop("quiet")
    document["spec"].update(NULLS[path])
    text, apply = yaml.safe_dump(document), ("apply", "--namespace", signed, "--filename=-")
    plain = server.kubectl(*apply, stdin=text)
    assert plain.returncode == 1
    assert f"spec.{path}: expected null, which switches it off, got its default" in plain.stderr
    assert "say `enabled: false` instead" in plain.stderr
    assert server.kube.get(MODEL_LOOPS, signed, "quiet") is None
    assert server.kubectl(*apply, "--server-side", stdin=text).returncode == 0
    kept = server.kube.get(MODEL_LOOPS, signed, "quiet")
    server.kube.delete(MODEL_LOOPS, signed, "quiet")
    place: Any = kept
    for key in ("spec", *path.split(".")):
        place = place[key]
    assert place is None


def test_kubectl_apply_may_say_anything_else_and_edits_by_other_means_may_too(server: ApiServer, signed: str) -> None:
    document = kube_ledgers.model_loop("loud")
    document["spec"]["training"]["params"] = {"errors": None, "latency": None}
    document["spec"]["rollout"] = {"guardrails": {"errors": {"margin": 0.5}}}
    applied = server.kubectl("apply", "--namespace", signed, "--filename=-", stdin=yaml.safe_dump(document))
    assert (applied.returncode, applied.stderr) == (0, "")
    for drift in (None, {"every": "2h"}, None):
        edited = server.kube.patch(MODEL_LOOPS, signed, "loud", {"spec": {"drift": drift}})
        assert edited["spec"]["drift"]["every"] == ("2h" if drift else "1h")
