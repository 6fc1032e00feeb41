"""The ledger on a real API server: races, kills, rights, ages and sizes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from serinus.adapters.kube import LOOP_REQUESTS, MODEL_APPROVALS, MODEL_LOOPS, Kind, Kube, Object
from serinus.adapters.kube_ledger import KubeLedger
from serinus.errors import Conflict, Fatal, Unavailable
from serinus.facts import DriftFinding, Event, FeatureDrift, Request, Status, Verdict, Window
from tests.contract.ledger_suite import NOW, event, request
from tests.servers.kube_ledgers import ASKER, READER, WRITER, allow, loops, model_loop, nowhere
from tests.servers.kubernetes import ApiServer
from tests.servers.prometheus import until

# --- who asks --------------------------------------------------------------------------------------------------------


def test_who_asks_is_whom_the_api_server_sees_whatever_they_say(server: ApiServer) -> None:
    namespace = loops(server, "a")
    robot = KubeLedger(allow(server, namespace, "robot", ASKER), namespace)
    robot.ask("a", replace(request("r"), by="the boss"))
    assert [r.by for r in robot.read("a").requests] == ["robot"]
    assert robot.user() == "robot"


def test_a_decision_is_a_model_approval_that_stays(server: ApiServer) -> None:
    namespace = loops(server, "a")
    ledger = KubeLedger(allow(server, namespace, "ann"), namespace)
    wanted = Request("mine", "approve", NOW, "ann", 4, "looks good")
    name = ledger.put("a", wanted)
    assert ledger.put("a", wanted) == name
    (open_,) = ledger.read("a").requests
    (made,) = server.kube.list(MODEL_APPROVALS, namespace)
    assert made["spec"] == {
        "loop": "a", "version": 4, "decision": "approve", "reason": "looks good", "approver": "ann",
    }  # fmt: skip
    made_at = datetime.fromisoformat(made["metadata"]["creationTimestamp"])
    assert name == made["metadata"]["uid"]
    assert open_ == Request(name, "approve", made_at, "ann", 4, "looks good")
    ledger.write("a", Status("a", handled=(name,)), [], 0)
    assert ledger.read("a").requests == ()
    assert server.kube.list(MODEL_APPROVALS, namespace) == (made,)


def test_an_approval_written_by_hand_needs_no_label(server: ApiServer) -> None:
    namespace = loops(server, "a")
    spec = {"loop": "a", "version": 4, "decision": "reject", "approver": "ann"}
    server.kube.create(MODEL_APPROVALS, namespace, _body(MODEL_APPROVALS, "no-4", spec))
    (open_,) = KubeLedger(server.kube, namespace).read("a").requests
    assert (open_.kind, open_.version, open_.reason) == ("reject", 4, "")


@pytest.mark.parametrize("finding", [{"version": "one"}, {}])
def test_a_wrong_finding_does_not_stop_the_loop(server: ApiServer, finding: Object) -> None:
    namespace = loops(server, "a")
    spec = {"loop": "a", "id": "x", "kind": "drift", "by": "b", "at": "2026-01-01T00:00:00Z", "finding": finding}
    server.kube.create(LOOP_REQUESTS, namespace, _body(LOOP_REQUESTS, "wrong", spec))
    assert KubeLedger(server.kube, namespace).read("a").requests == (
        Request("x", "drift", datetime(2026, 1, 1, tzinfo=UTC), "b"),
    )


def test_a_finding_comes_back_as_it_was(server: ApiServer) -> None:
    namespace = loops(server, "a")
    ledger = KubeLedger(allow(server, namespace, "ann"), namespace)
    asked = Request("d", "drift", NOW, "ann", 3, "drift", _finding(1), "a-drift-1")
    ledger.ask("a", asked)
    assert ledger.read("a").requests == (asked,)


def test_there_is_nobody_to_ask_without_a_model_loop(server: ApiServer) -> None:
    namespace = loops(server)
    ledger = KubeLedger(server.kube, namespace)
    with pytest.raises(Fatal, match=f"there is no ModelLoop {namespace}/a"):
        ledger.ask("a", request("r"))
    with pytest.raises(Fatal, match=f"ModelLoop {namespace}/a is gone"):
        ledger.write("a", Status("a"), [], 0)
    assert ledger.events("a") == ()


# --- what is over stays over -----------------------------------------------------------------------------------------


def test_what_handled_forgets_never_comes_back(server: ApiServer) -> None:
    namespace = loops(server, "a")
    ledger = KubeLedger(allow(server, namespace, "ann"), namespace)
    ledger.ask("a", request("kept by a finalizer"))
    ledger.ask("a", request("left by a kill"))
    approval = ledger.put("a", Request("x", "approve", NOW, "ann", 1))
    held, _ = sorted(server.kube.list(LOOP_REQUESTS, namespace), key=lambda each: str(each["spec"]["id"]))
    server.kube.patch(
        LOOP_REQUESTS, namespace, held["metadata"]["name"], {"metadata": {"finalizers": ["example.com/mine"]}}
    )
    with _forbidden(KubeLedger, "_sweep"):
        ledger.write("a", Status("a", handled=("kept by a finalizer", "left by a kill", approval)), [], 0)
    assert len(server.kube.list(LOOP_REQUESTS, namespace)) == 2
    ledger.write("a", Status("a", handled=("two hundred later",)), [], 1)
    assert ledger.read("a").requests == ()
    assert [each["metadata"]["name"] for each in server.kube.list(LOOP_REQUESTS, namespace)] == [
        held["metadata"]["name"]
    ]
    ledger.write("a", Status("a"), [], 2)
    assert ledger.read("a").requests == ()


def test_a_request_that_cannot_be_deleted_is_not_forgotten(server: ApiServer) -> None:
    namespace = loops(server, "a")
    KubeLedger(server.kube, namespace).ask("a", request("r"))
    rules = {**WRITER, "looprequests": ["list"]}
    ledger = KubeLedger(allow(server, namespace, "weak", rules), namespace)
    ledger.write("a", Status("a", handled=("r",)), [], 0)  # that it stays is harmless so far
    assert ledger.read("a").requests == ()
    with pytest.raises(Fatal, match='User "weak" cannot delete resource "looprequests"'):
        ledger.write("a", Status("a", handled=("another",)), [], 1)
    assert ledger.read("a").requests == ()
    assert ledger.read("a").revision == 1


def test_an_approval_after_those_that_are_settled_counts(server: ApiServer) -> None:
    namespace = loops(server, "a")
    ledger = KubeLedger(allow(server, namespace, "ann"), namespace)
    first = ledger.put("a", Request("first", "approve", NOW, "ann", 1))
    ledger.write("a", Status("a", handled=(first,)), [], 0)
    ledger.write("a", Status("a"), [], 1)
    _next_second(server, namespace)
    second = ledger.put("a", Request("second", "approve", NOW, "ann", 1))
    assert [each.id for each in ledger.read("a").requests] == [second]


def test_words_to_a_loop_of_the_same_name_that_is_gone_are_not_for_this_one(server: ApiServer) -> None:
    namespace = loops(server, "a")
    ledger = KubeLedger(allow(server, namespace, "ann"), namespace)
    ledger.put("a", Request("x", "approve", NOW, "ann", 1))
    ledger.ask("a", request("r"))
    server.kube.delete(MODEL_LOOPS, namespace, "a")
    _next_second(server, namespace)  # who decided has nothing but the time to tell the two by
    server.kube.create(MODEL_LOOPS, namespace, model_loop("a"))
    assert ledger.read("a").requests == ()
    ledger.write("a", Status("a"), [], 0)
    assert server.kube.list(LOOP_REQUESTS, namespace) == ()
    assert len(server.kube.list(MODEL_APPROVALS, namespace)) == 1


# --- watches of the caller -------------------------------------------------------------------------------------------


def test_a_look_at_a_quiet_loop_asks_the_api_server_nothing(server: ApiServer) -> None:
    namespace, asked = loops(server, "a"), []
    admin = KubeLedger(server.kube, namespace)
    admin.ask("a", request("r"))
    admin.write("a", Status("a", champion=1), [], 0)
    held = {"loop": server.kube.get(MODEL_LOOPS, namespace, "a")}
    inbox = server.kube.list(LOOP_REQUESTS, namespace)
    counting = Kube(server.kube._client, answered=lambda verb, _: asked.append(verb))
    ledger = KubeLedger(counting, namespace, inbox=lambda _: inbox, cached=lambda _: held["loop"])
    entry = ledger.read("a")
    assert (entry.status.champion, entry.revision, [r.id for r in entry.requests]) == (1, 1, ["r"])
    assert asked == []
    ledger.write("a", Status("a", champion=2, handled=("r",)), [], 1)
    assert asked == ["GET", "PATCH", "DELETE"]
    # What the watches hold is old now, and is not believed until they have caught up.
    entry = ledger.read("a")
    assert (entry.status.champion, entry.revision, entry.requests) == (2, 2, ())
    assert asked == ["GET", "PATCH", "DELETE", "GET"]
    held["loop"] = server.kube.get(MODEL_LOOPS, namespace, "a")
    assert ledger.read("a") == entry
    assert len(asked) == 4


def test_after_somebody_elses_write_an_old_watch_is_not_believed(server: ApiServer) -> None:
    namespace = loops(server, "a")
    old = server.kube.get(MODEL_LOOPS, namespace, "a")
    KubeLedger(server.kube, namespace).write("a", Status("a", champion=1), [], 0)
    ledger = KubeLedger(server.kube, namespace, cached=lambda _: old)
    with pytest.raises(Conflict):
        ledger.write("a", Status("a", champion=2), [], ledger.read("a").revision)
    ledger.write("a", Status("a", champion=2), [], ledger.read("a").revision)
    assert ledger.read("a").status.champion == 2


# --- troubles --------------------------------------------------------------------------------------------------------


def test_what_one_may_not_is_said_in_the_api_servers_words(server: ApiServer) -> None:
    namespace = loops(server, "a")
    reader = KubeLedger(allow(server, namespace, "reader", READER), namespace)
    assert reader.read("a").revision == 0
    with pytest.raises(Fatal, match=r'User "reader" cannot create resource "looprequests" in .* "serinus.dev"'):
        reader.ask("a", request("r"))
    with pytest.raises(Fatal, match='User "reader" cannot create resource "modelapprovals"'):
        reader.ask("a", Request("x", "approve", NOW, "reader", 1))
    with pytest.raises(Fatal, match='User "reader" cannot patch resource "modelloops/status"'):
        reader.write("a", Status("a"), [], 0)
    stranger = KubeLedger(server.impersonate("stranger"), namespace)
    with pytest.raises(Fatal, match='User "stranger" cannot get resource "modelloops"'):
        stranger.events("a")


def test_an_api_server_that_is_away_is_named() -> None:
    with pytest.raises(Unavailable, match=r"the Kubernetes API cannot be asked: GET /apis/serinus.dev/v1alpha1/"):
        KubeLedger(nowhere(), "default").read("a")


def test_a_memory_that_is_not_ours_is_named(server: ApiServer) -> None:
    namespace = loops(server, "a")
    server.kube.patch(MODEL_LOOPS, namespace, "a", {"status": {"memory": "{}"}}, "status")
    with pytest.raises(Fatal, match=f"ModelLoop {namespace}/a: status.memory: expected _Memory as JSON"):
        KubeLedger(server.kube, namespace).read("a")


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_a_busy_loops_status_is_far_from_what_etcd_refuses(server: ApiServer) -> None:
    namespace = loops(server, "a")
    ledger = KubeLedger(server.kube, namespace)
    status = Status(
        "a",
        champion=12,
        drift=tuple(_finding(n) for n in range(20)),
        handled=tuple(f"drift-12-20260102T0304{n:02}.123456Z" for n in range(200)),
    )
    figures = {f"feature-{n}": 0.123456789 + n for n in range(5)}
    said = [Event(NOW + timedelta(seconds=n), "DriftFound", "a sentence of a usual length. " * 4, 12, figures)
            for n in range(100)]  # fmt: skip
    ledger.write("a", status, said, 0)
    assert ledger.read("a").status == status
    assert ledger.events("a") == tuple(said)
    size = len(json.dumps(server.kube.get(MODEL_LOOPS, namespace, "a")))
    assert 60_000 < size < 150_000, size  # etcd refuses 1.5 MB


def test_history_does_not_grow_for_ever(server: ApiServer) -> None:
    namespace = loops(server, "a")
    ledger = KubeLedger(server.kube, namespace)
    ledger.write("a", Status("a"), [event(str(n)) for n in range(90)], 0)
    ledger.write("a", Status("a"), [event(str(n)) for n in range(90, 120)], 1)
    assert [int(each.message) for each in ledger.events("a", 1000)] == list(range(20, 120))
    ledger.write("a", Status("a"), [event(f"{n} " + "long " * 1000) for n in range(60)], 2)
    kept = ledger.events("a")
    assert [each.message[:3].strip() for each in kept] == [str(n) for n in range(60 - len(kept), 60)]
    assert 20 < len(kept) < 40
    assert {len(each.message) for each in kept} == {2000}


def test_a_figure_that_is_no_number_is_left_out_of_the_history(server: ApiServer) -> None:
    namespace = loops(server, "a")
    ledger = KubeLedger(server.kube, namespace)
    figures = {"a": 1.5, "b": float("nan"), "c": float("inf")}
    ledger.write("a", Status("a"), [replace(event("one"), version=None, figures=figures)], 0)
    assert ledger.events("a") == (replace(event("one"), version=None, figures={"a": 1.5}),)


# --- made up ---------------------------------------------------------------------------------------------------------


def _body(kind: Kind, name: str, spec: Object) -> Object:
    return {"apiVersion": kind.api, "kind": kind.kind, "metadata": {"name": name}, "spec": spec}


def _finding(number: int) -> DriftFinding:
    end = NOW + timedelta(hours=number)
    verdict = Verdict("drift", "fail", "temp drifted: PSI 0.31 over 0.1", {"psi_bound": 0.1, "rows": 1820.0})
    features = tuple(FeatureDrift(f"feature-{n}", 0.012345678901234567 / (n + 1), 0.1 * n, n > 3) for n in range(15))
    return DriftFinding(12, Window(end - timedelta(days=1), end), 182_000, verdict, features)


@contextmanager
def _forbidden(kind: type, name: str) -> Iterator[None]:
    """As if the process had been killed before this step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, name, lambda *_: None)
        yield


def _next_second(server: ApiServer, namespace: str) -> None:
    """Wait until the API server stamps objects with another second than those that it made so far."""
    stamps: set[str] = set()

    def ticked() -> bool:
        made = server.kube.create(LOOP_REQUESTS, namespace, _clock())
        server.kube.delete(LOOP_REQUESTS, namespace, made["metadata"]["name"])
        stamps.add(made["metadata"]["creationTimestamp"])
        return len(stamps) > 1

    until(ticked, "another second")


def _clock() -> Object:
    spec = {"loop": "clock", "id": "tick", "kind": "run", "by": "clock", "at": "2026-01-01T00:00:00Z"}
    body = _body(LOOP_REQUESTS, "", spec)
    return {**body, "metadata": {"generateName": "clock-"}}
