"""The ledger on a real API server beside others who write, and killed in the middle of its work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest

from serinus.adapters.kube import LOOP_REQUESTS, MODEL_LOOPS, Kube, Object
from serinus.adapters.kube_ledger import KubeLedger
from serinus.errors import Conflict
from serinus.facts import Status
from tests.contract.ledger_suite import event, request
from tests.servers.kube_ledgers import loops
from tests.servers.kubernetes import ApiServer


class Meddled(Kube):
    """A client in whose way something happens right before a PATCH."""

    def __init__(self, client: Any, meddle: Any) -> None:
        super().__init__(client)
        self.meddle = meddle

    def patch(self, *words: Any, **more: Any) -> Object:
        self.meddle()
        return super().patch(*words, **more)


def test_edits_and_writes_do_not_disturb_each_other(server: ApiServer) -> None:
    namespace, edits = loops(server, "a"), iter(range(3))

    def edit() -> None:
        number = next(edits, None)
        if number is not None:
            metadata = {"metadata": {"labels": {"edit": str(number)}}}
            spec = {"spec": {"rollout": {"minRequests": 300 + number}}}
            server.kube.patch(MODEL_LOOPS, namespace, "a", metadata | spec)
            server.kube.patch(MODEL_LOOPS, namespace, "a", {"status": {"champion": number}}, "status")

    ledger = KubeLedger(Meddled(server.kube._client, edit), namespace)
    ledger.write("a", Status("a", champion=7), [event("one")], 0)
    found = server.kube.get(MODEL_LOOPS, namespace, "a")
    assert found is not None
    assert found["spec"]["rollout"]["minRequests"] == 302
    assert (found["status"]["champion"], found["status"]["revision"]) == (2, 1)
    assert found["metadata"]["generation"] == 4
    assert ledger.read("a").status == Status("a", champion=7)


def test_who_never_gets_a_word_in_is_told_so(server: ApiServer) -> None:
    namespace = loops(server, "a")

    def edit() -> None:
        label = {"metadata": {"labels": {"edit": os.urandom(8).hex()}}}
        server.kube.patch(MODEL_LOOPS, namespace, "a", label)

    with pytest.raises(Conflict, match=f"ModelLoop {namespace}/a changes too often"):
        KubeLedger(Meddled(server.kube._client, edit), namespace).write("a", Status("a"), [], 0)


def test_two_writers_lose_nothing(server: ApiServer) -> None:
    namespace = loops(server, "a")
    threads = [threading.Thread(target=_count_up, args=(KubeLedger(server.kube, namespace), 25)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    ledger = KubeLedger(server.kube, namespace)
    assert (ledger.read("a").status.decided, ledger.read("a").revision) == (50, 50)
    assert [each.message for each in ledger.events("a")] == [str(number) for number in range(1, 51)]


def _count_up(ledger: KubeLedger, times: int) -> None:
    """Count in `decided`, say each number as an event, and handle one request a write."""
    while times:
        entry = ledger.read("a")
        number = entry.status.decided + 1
        ledger.ask("a", request(str(number)))
        status = replace(entry.status, decided=number, handled=(*entry.status.handled[-50:], str(number)))
        try:
            ledger.write("a", status, [event(str(number))], entry.revision)
            times -= 1
        except Conflict:
            pass


WRITER_PROGRAM = """
import sys
from serinus.adapters.kube import Kube
from serinus.adapters.kube_ledger import KubeLedger
from tests.kube.test_kube_ledger_races import _count_up
print("ready", flush=True)
_count_up(KubeLedger(Kube.connect(), sys.argv[1]), 1_000_000)
"""


def test_a_writer_killed_anywhere_leaves_status_and_events_in_step(server: ApiServer) -> None:
    namespace, seen = loops(server, "a"), 0
    ledger = KubeLedger(server.kube, namespace)
    environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig)}
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER_PROGRAM, namespace], stdout=subprocess.PIPE, env=environment
        )
        assert process.stdout is not None
        process.stdout.readline()
        while ledger.read("a").status.decided < seen + 7:  # it is in the middle of its work
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        entry = ledger.read("a")
        assert entry.revision == entry.status.decided > seen
        assert [int(each.message) for each in ledger.events("a")] == list(range(1, entry.status.decided + 1))
        assert {r.id for r in entry.requests} <= {str(entry.status.decided + 1)}
        seen = entry.status.decided


@pytest.mark.parametrize("before", [True, False])
def test_a_write_killed_at_any_of_its_requests_happened_whole_or_not_at_all(server: ApiServer, before: bool) -> None:
    """Whether the request in flight got through or not; a look later all is well."""
    for step in range(10):
        namespace = loops(server, "a")
        ledger = KubeLedger(server.kube, namespace)
        ledger.ask("a", request("r"))
        ledger.ask("a", request("s"))
        ledger.write("a", Status("a"), [event("one")], 0)
        dying = Dying(server.kube._client, step, before)
        try:
            KubeLedger(dying, namespace).write("a", Status("a", champion=2, handled=("r", "s")), [event("two")], 1)
        except KeyboardInterrupt:
            pass
        else:
            assert step == 6, "two lists, one get, one patch, two deletes"
            break
        entry = ledger.read("a")
        if entry.revision == 1:
            assert (entry.status, [r.id for r in entry.requests]) == (Status("a"), ["r", "s"])
            assert ledger.events("a") == (event("one"),)
        else:
            assert (entry.status.champion, entry.requests) == (2, ())
            assert ledger.events("a") == (event("one"), event("two"))
        ledger.write("a", Status("a", handled=("r", "s")), [], entry.revision)
        assert server.kube.list(LOOP_REQUESTS, namespace) == ()


class Dying(Kube):
    """A client whose process is killed around its n-th request."""

    def __init__(self, client: Any, step: int, before: bool) -> None:
        super().__init__(client)
        self.left, self.before = step, before

    def _ask(self, *words: Any, **more: Any) -> Any:
        self.left -= 1
        if self.left < 0 and self.before:
            raise KeyboardInterrupt
        answer = super()._ask(*words, **more)
        if self.left < 0:
            raise KeyboardInterrupt
        return answer
