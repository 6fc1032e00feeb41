"""LoopRequest and ModelApproval on a real API server: what may be asked, by whom, and that it stays as it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from serinus.adapters.kube import LOOP_REQUESTS, MODEL_APPROVALS, Kind, Kube
from serinus.errors import Fatal
from serinus.render import admission
from tests.servers import kube_ledgers
from tests.servers.kubernetes import ApiServer
from tests.servers.prometheus import until

SPACE = "requests"
POLICIES = Kind(
    "admissionregistration.k8s.io/v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False
)
BINDINGS = Kind(
    "admissionregistration.k8s.io/v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
)


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


KINDS = ((MODEL_APPROVALS, _approval), (LOOP_REQUESTS, _request))
ROBOT = "system:serviceaccount:requests-signed:robot"


@pytest.fixture(scope="module")
def signed(server: ApiServer) -> Iterator[str]:
    """A namespace where alice and a robot may ask and approve, under the policies; these go again after the tests."""
    namespace = server.namespace("requests-signed")
    for user in ("alice", ROBOT):
        _allow(server, namespace, user)
    for each in admission.policies():
        server.kube.apply(_kind(each), None, each)
    _wait(server.kube, namespace, True)
    yield namespace
    for each in admission.policies():
        server.kube.delete(_kind(each), None, each["metadata"]["name"])
    _wait(server.kube, namespace, False)


def _kind(policy: dict[str, Any]) -> Kind:
    return POLICIES if policy["kind"] == POLICIES.kind else BINDINGS


def _wait(kube: Kube, namespace: str, held: bool) -> None:
    for kind, made in KINDS:
        probe = {**made(), "metadata": {"name": "probe"}}
        until(lambda kind=kind, probe=probe: _held(kube, kind, namespace, probe) is held, f"held: {held}")  # type: ignore[misc]


def _allow(server: ApiServer, namespace: str, user: str) -> None:
    verbs = ["create", "update", "patch", "get"]
    kube_ledgers.allow(server, namespace, user, {"modelloops": ["get"], "looprequests": verbs, "modelapprovals": verbs})


def _held(kube: Kube, kind: Kind, namespace: str, probe: dict[str, Any]) -> bool:
    """Whether an object in another's name is refused; the policies come and go by a watch."""
    try:
        kube.create(kind, namespace, probe)
    except Fatal:
        return True
    kube.delete(kind, namespace, "probe")
    return False


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
