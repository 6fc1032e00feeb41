"""`serinus … --loop NAME` against a real API server: people with and without rights, and a loop that is driven."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from serinus import loading
from serinus.adapters.fakes.metrics import FakeMetrics
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.adapters.fakes.router import FakeRouter
from serinus.adapters.fakes.runner import FakeRunner
from serinus.adapters.kube import LOOP_REQUESTS, MODEL_APPROVALS, MODEL_LOOPS, Kind, Object
from serinus.adapters.kube_ledger import KubeLedger
from serinus.facts import RunRecord, Status
from serinus.render import admission
from services import driver
from services.cli.cluster import Cluster
from services.driver import Ports
from services.operator.view import Shown, View
from services.platform import Platform
from tests.servers.kube_ledgers import APPROVER, ASKER, READER, Rules, allow, loops
from tests.servers.kubernetes import ApiServer
from tests.servers.prometheus import until
from tests.unit.cli_state import CANARY, EVENTS, SERVING, serinus, strict

LOOP = "flights"
WAITING = replace(SERVING, loop=LOOP, waiting=4)


@pytest.fixture(scope="module", autouse=True)
def _policies(server: ApiServer) -> None:
    for policy in admission.policies():
        plural = f"{policy['kind'].lower()[:-1]}ies" if policy["kind"].endswith("y") else f"{policy['kind'].lower()}s"
        server.kube.apply(Kind(policy["apiVersion"], plural, policy["kind"], namespaced=False), None, policy)


@pytest.fixture
def as_user(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Alice's kubeconfig is in place; she has no rights yet."""
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig_of("alice")))
    return "alice"


def loop_of(server: ApiServer, status: Status, rules: Rules = READER, approval: str = "required") -> str:
    """A new namespace with a ModelLoop that remembers `status`, in which alice has these rights."""
    namespace = loops(server, LOOP)
    allow(server, namespace, "alice", rules)
    server.kube.patch(MODEL_LOOPS, namespace, LOOP, {"spec": {"approval": approval}})
    KubeLedger(server.kube, namespace).write(LOOP, status, EVENTS, 0)
    return namespace


@contextmanager
def driven(server: ApiServer, namespace: str, runner: FakeRunner | None = None) -> Iterator[FakeRegistry]:
    """The loop looked at again and again, and shown, as the operator does it; versions 1 … 4 are registered."""
    registry, kube, ended = FakeRegistry(), server.kube, threading.Event()
    for number in range(1, 5):
        registry.add(LOOP, f"{LOOP}-manual-{number}")
    ports = Ports(FakeMetrics(), FakeRouter(), registry, runner or FakeRunner(), KubeLedger(kube, namespace))
    view, since = View(kube, Platform("http://mlflow", "http://prometheus", "http://kfp")), datetime.now(UTC)

    def look() -> None:
        found = kube.get(MODEL_LOOPS, namespace, LOOP)
        assert found is not None
        document = {**{name: found[name] for name in ("apiVersion", "kind", "spec")}, "metadata": {"name": LOOP}}
        spec, now = loading.of(document), datetime.now(UTC)
        looked = driver.look(LOOP, lambda: spec, ports, now, since)
        view.show(_found(server, namespace), Shown(spec, looked), now)

    def keep() -> None:
        while not ended.wait(0.05):
            look()

    look()
    thread = threading.Thread(target=keep, name="driver")
    thread.start()
    try:
        yield registry
    finally:
        ended.set()
        thread.join()


def _found(server: ApiServer, namespace: str) -> Object:
    found = server.kube.get(MODEL_LOOPS, namespace, LOOP)
    assert found is not None
    return found


def _story(server: ApiServer, namespace: str) -> list[tuple[str, str]]:
    return [(event.kind, event.message) for event in KubeLedger(server.kube, namespace).events(LOOP)]


# --- asking ----------------------------------------------------------------------------------------------------------


def test_who_may_approve_does_and_stands_in_the_story_by_the_name_the_api_server_knows(
    server: ApiServer, as_user: str
) -> None:
    namespace = loop_of(server, WAITING, APPROVER)
    with driven(server, namespace):
        said = serinus("approve", "4", "-m", "looks [good]", "-l", LOOP, "-n", namespace)
    assert (said.stdout, said.stderr) == ("Version 4 was let in; its rollout begins now.\n", "")
    assert ("Approved", "alice let version 4 in: looks [good]") in _story(server, namespace)
    (kept,) = server.kube.list(MODEL_APPROVALS, namespace)
    assert kept["spec"] == {
        "loop": LOOP, "version": 4, "decision": "approve", "reason": "looks [good]", "approver": "alice",
    }  # fmt: skip


def test_who_may_not_approve_is_told_which_role_to_ask_for_and_nothing_happens(server: ApiServer, as_user: str) -> None:
    namespace = loop_of(server, WAITING, ASKER)
    with driven(server, namespace):
        said = serinus("approve", "4", "--loop", LOOP, "--namespace", namespace)
    assert (said.exit_code, said.stdout) == (1, "")
    role = "ask for the role serinus-approver there"
    assert said.stderr == f"✗ alice may not create modelapprovals in namespace {namespace}; {role}\n"
    assert server.kube.list(MODEL_APPROVALS, namespace) == ()
    assert KubeLedger(server.kube, namespace).read(LOOP).status.waiting == 4


def test_rejecting_refuses_the_waiting_version_for_good(server: ApiServer, as_user: str) -> None:
    namespace = loop_of(server, WAITING, APPROVER)
    with driven(server, namespace):
        said = serinus("reject", "4", "-m", "too late in the day", "-l", LOOP, "-n", namespace)
    assert said.stdout == "Version 4 was rejected; it will not be tried again.\n"
    (rejected,) = [message for kind, message in _story(server, namespace) if kind == "Rejected"]
    assert rejected == "version 4 was not let in: alice rejected it: too late in the day"


def test_rolling_back_is_asked_by_who_may_ask(server: ApiServer, as_user: str) -> None:
    namespace = loop_of(server, replace(SERVING, loop=LOOP), READER)
    with driven(server, namespace) as registry:
        registry.alias(LOOP, "challenger", None)
        said = serinus("rollback", "-l", LOOP, "-n", namespace)
        assert said.exit_code == 1
        assert f"alice may not create looprequests in namespace {namespace}" in said.stderr
        assert "ask for the role serinus-editor there" in said.stderr
        allow(server, namespace, "alice", ASKER)
        until(
            lambda: (
                serinus("rollback", "-l", LOOP, "-n", namespace).stdout
                == "Version 3 was rolled back; version 2 serves.\n"
            ),
            "the new right counts",
        )
    assert server.kube.list(LOOP_REQUESTS, namespace) == ()


def test_a_run_is_asked_for_and_can_be_waited_for(server: ApiServer, as_user: str) -> None:
    namespace, runner = loop_of(server, replace(SERVING, loop=LOOP), ASKER), FakeRunner()
    with driven(server, namespace, runner) as registry:

        def pipeline() -> None:
            until(lambda: runner.requests, "a run is asked for")
            registry.add(LOOP, runner.requests[0].key)
            runner.finish(runner.requests[0].key)

        thread = threading.Thread(target=pipeline)
        thread.start()
        said = serinus("run", "--wait", "-l", LOOP, "-n", namespace)
        thread.join()
    key = runner.requests[0].key
    follow = f"`serinus status --watch --loop {LOOP} --namespace {namespace}` follows it"
    assert said.stdout == f"Run {key} was asked for; {follow}.\nRun {key} registered version 5.\n"


@pytest.mark.parametrize("words", [("approve", "9"), ("run",), ("rollback",)])
def test_nobody_is_asked_where_no_operator_looks(server: ApiServer, as_user: str, words: tuple[str, ...]) -> None:
    namespace = loop_of(server, WAITING, APPROVER)
    said = serinus(*words, "-l", LOOP, "-n", namespace)
    assert said.exit_code == 1
    assert f"no operator has looked at ModelLoop {namespace}/{LOOP} yet; is Serinus installed" in said.stderr
    assert server.kube.list(LOOP_REQUESTS, namespace) + server.kube.list(MODEL_APPROVALS, namespace) == ()


def test_what_nobody_takes_up_stays_asked_for_and_is_1(
    server: ApiServer, as_user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = loop_of(server, WAITING, APPROVER)
    with driven(server, namespace):
        pass  # the operator was there and is gone
    monkeypatch.setattr(Cluster, "patience", 0.3)
    monkeypatch.setattr(Cluster, "pause", 0.1)
    said = serinus("approve", "4", "-l", LOOP, "-n", namespace)
    assert said.exit_code == 1
    assert "the loop did not take the approve up within 0 s; it stays asked for" in said.stderr
    with driven(server, namespace):
        until(lambda: any(kind == "Approved" for kind, _ in _story(server, namespace)), "it is taken up")


# --- looking ---------------------------------------------------------------------------------------------------------


def test_status_of_a_canary_on_trial(server: ApiServer, as_user: str) -> None:
    rollout = replace(CANARY.rollout, version=4) if CANARY.rollout is not None else None
    run = RunRecord("flights-drift-2", "drift", datetime.now(UTC), phase="running")
    namespace = loop_of(server, replace(SERVING, loop=LOOP, rollout=rollout, run=run, waiting=5))
    conditions = [
        _condition("Ready", "True", "Serving", "versions 3 and 4 serve"),
        _condition("Degraded", "True", "PartUnavailable", "registry: [Errno 111] refused"),
    ]
    address = f"{LOOP}.example.com"
    seen = {"observedGeneration": 1, "champion": 3, "canary": 4, "weight": 5, "address": address}
    seen |= {"conditions": conditions}
    server.kube.patch(MODEL_LOOPS, namespace, LOOP, {"status": seen}, "status")
    text = " ".join(serinus("status", "-l", LOOP, "-n", namespace).stdout.split())
    assert f"{LOOP} namespace {namespace} ● up" in text
    assert "version 3 95 % version 4 5 %" in text
    assert "canary version 4, step 1 of 3, for " in text
    assert "run running, for " in text
    assert "degraded registry: [Errno 111] refused" in text
    assert "not ready" not in text
    assert "spec the operator has not read edit 2 yet; 1 is in force" in text
    assert f"predict http://{address}/v1/models/{LOOP}:predict" in text
    assert "waiting version 5; its turn comes next" in text
    assert "RunFailed ValueError: [bold]column[/bold] [Errno 2] in [red]data[/]" in text
    answer = strict(serinus("status", "-o", "json", "-l", LOOP, "-n", namespace).stdout)
    assert answer | {"status": None} == {
        "loop": LOOP,
        "namespace": namespace,
        "up": True,
        "addresses": {"predict": f"http://{address}/v1/models/{LOOP}:predict"},
        "weights": {"2": 0, "3": 95, "4": 5},
        "step": "running",
        "conditions": conditions,
        "status": None,
    }
    assert answer["status"]["rollout"]["version"] == 4


def test_a_hint_can_be_pasted(server: ApiServer, as_user: str) -> None:
    namespace = loop_of(server, WAITING)
    text = serinus("status", "--loop", LOOP, "--context", "test", "--namespace", namespace).stdout
    assert "● down  no operator has looked at it yet" in text
    assert f"`serinus approve 4 --loop {LOOP} --namespace {namespace} --context test` lets it in" in text


def test_history_is_that_of_the_object(server: ApiServer, as_user: str) -> None:
    namespace = loop_of(server, WAITING)
    answer = json.loads(serinus("history", "-o", "json", "-l", LOOP, "-n", namespace).stdout)
    assert [event["kind"] for event in answer] == [event.kind for event in EVENTS]


def test_before_anything_happened(server: ApiServer, as_user: str) -> None:
    namespace = loops(server, LOOP)
    allow(server, namespace, "alice", READER)
    assert serinus("history", "-l", LOOP, "-n", namespace).stdout == f"Nothing has happened to {LOOP} yet.\n"
    assert "champion  none yet" in serinus("status", "-l", LOOP, "-n", namespace).stdout


# --- not found, not allowed, not there -------------------------------------------------------------------------------


def test_a_loop_that_is_not_there(server: ApiServer, as_user: str) -> None:
    namespace = loop_of(server, WAITING)
    said = serinus("status", "-l", "flihgts", "-n", namespace)
    assert said.exit_code == 1
    assert f"there is no ModelLoop {namespace}/flihgts; `kubectl get modelloops --all-namespaces` lists" in said.stderr


def test_a_stranger_is_told_which_role_shows_loops(server: ApiServer, as_user: str) -> None:
    said = serinus("status", "-l", LOOP, "-n", "kube-system")
    role = "ask for the role serinus-viewer there"
    assert (said.exit_code, said.stderr) == (1, f"✗ alice may not get modelloops in namespace kube-system; {role}\n")


def test_the_namespace_is_the_contexts_when_nobody_names_one(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = loop_of(server, WAITING)
    path = server.kubeconfig_of("alice")
    document = json.loads(path.read_text())
    document["contexts"][0]["context"]["namespace"] = namespace
    other = path.with_name("kubeconfig-with-namespace")
    other.write_text(json.dumps(document))
    monkeypatch.setenv("KUBECONFIG", f"{other}:{path}")
    assert f"namespace {namespace}" in serinus("status", "-l", LOOP).stdout


def test_no_cluster_to_talk_to(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path_factory.mktemp("none") / "config"))
    said = serinus("status", "-l", LOOP)
    assert (said.exit_code, said.stdout) == (1, "")
    assert "no Kubernetes to talk to: Invalid kube-config file. No configuration found.; set KUBECONFIG" in said.stderr


def _condition(kind: str, state: str, reason: str, message: str) -> Object:
    return {
        "type": kind, "status": state, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    }  # fmt: skip
