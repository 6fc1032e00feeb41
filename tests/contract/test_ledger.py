"""The port Ledger: files and the fake keep the same promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serinus import wire
from serinus.adapters import file_ledger
from serinus.adapters.fakes.ledger import FakeLedger
from serinus.adapters.file_ledger import FileLedger
from serinus.errors import Fatal, Unavailable
from serinus.facts import Event, Status
from serinus.ports import Entry, Ledger
from tests.contract.ledger_suite import LedgerPromises, event, request


@pytest.mark.parametrize("backend", ["file", "fake"])
class TestLedger(LedgerPromises):
    @pytest.fixture
    def ledger(self, backend: str, tmp_path: Path) -> Ledger:
        return FakeLedger() if backend == "fake" else FileLedger(tmp_path / "deep" / "ledger")

    @pytest.fixture
    def away(self, backend: str, tmp_path: Path) -> Ledger:
        if backend == "fake":
            fake = FakeLedger()
            fake.away = "the ledger is away"
            return fake
        (tmp_path / "file").write_text("not a folder")
        return FileLedger(tmp_path / "file")


# --- files alone -------------------------------------------------------------------------------------------------


def test_two_ledgers_on_one_folder_are_one(tmp_path: Path) -> None:
    FileLedger(tmp_path).write("a", Status("a", champion=1), [event("one")], 0)
    assert FileLedger(tmp_path).read("a").status.champion == 1
    assert FileLedger(tmp_path).events("a") == (event("one"),)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
def test_a_name_that_is_no_loop_makes_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(Fatal, match="loop's name"):
        FileLedger(tmp_path).ask(name, request("r"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["status.json", "inbox/x.json"])
def test_a_file_that_is_not_ours_is_named(tmp_path: Path, place: str) -> None:
    FileLedger(tmp_path).ask("a", request("r"))
    (tmp_path / "a" / place).write_text("{}")
    with pytest.raises(Fatal, match=place):
        FileLedger(tmp_path).read("a")


@pytest.mark.parametrize("next_events", [[], [event("three")]])
@pytest.mark.parametrize("torn", [0, 1, 30])
def test_events_of_a_write_that_never_happened_are_never_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: int, next_events: list[Event]
) -> None:
    ledger, path = FileLedger(tmp_path), tmp_path / "a" / "events.jsonl"
    ledger.write("a", Status("a", champion=1), [event("one")], 0)
    ledger.ask("a", request("r"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(file_ledger, "_replace", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.write("a", Status("a", champion=2, handled=("r",)), [event("two"), event("two")], 1)
    os.truncate(path, path.stat().st_size - torn)
    assert b"two" in path.read_bytes()
    assert ledger.read("a") == Entry(Status("a", champion=1), 1, (request("r"),))
    assert ledger.events("a") == (event("one"),)
    ledger.write("a", Status("a", champion=3), next_events, 1)
    assert ledger.events("a") == (event("one"), *next_events)
    assert b"two" not in path.read_bytes()


def test_a_request_whose_removal_never_happened_stays_handled(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path)
    ledger.ask("a", request("r"))
    (left,) = (tmp_path / "a" / "inbox").iterdir()
    data = left.read_bytes()
    ledger.write("a", Status("a", handled=("r",)), [], 0)
    assert not left.exists()
    left.write_bytes(data)  # as if the write had been killed before it
    assert ledger.read("a").requests == ()
    ledger.write("a", Status("a", handled=("r",)), [], 1)
    assert not left.exists()


def test_events_do_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_ledger, "LARGEST_EVENTS", 4000)
    ledger = FileLedger(tmp_path)
    for number in range(100):
        ledger.write("a", Status("a"), [event(str(number))], number)
        assert (tmp_path / "a" / "events.jsonl").stat().st_size < 4000 + 200
    kept = [int(each.message) for each in ledger.events("a")]
    assert kept == list(range(kept[0], 100))
    assert len(kept) >= 10


def test_a_ledger_held_by_a_stuck_process_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_ledger, "_LOCK_DEADLINE", 0.1)
    ledger = FileLedger(tmp_path)
    with file_ledger._locked(tmp_path / "a"), pytest.raises(Unavailable, match="another process"):
        ledger.write("a", Status("a"), [], 0)
    ledger.write("a", Status("a"), [], 0)


# A writer that counts in `decided`, says each number as an event, and handles one request a write.
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from serinus.adapters.file_ledger import FileLedger
from serinus.errors import Conflict
from serinus.facts import Event, Request, Status
ledger, times, now = FileLedger(Path(sys.argv[1])), int(sys.argv[2]), datetime.now(UTC)
print("ready", flush=True)
while times:
    entry = ledger.read("a")
    number = entry.status.decided + 1
    ledger.ask("a", Request(str(number), "run", now, "ann"))
    status = Status("a", decided=number, handled=(*entry.status.handled[-50:], str(number)))
    try:
        ledger.write("a", status, [Event(now, "Promoted", str(number))], entry.revision)
        times -= 1
    except Conflict:
        pass
"""


def writer(folder: Path, times: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(times)], stdout=subprocess.PIPE)


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    both = [writer(tmp_path, 40), writer(tmp_path, 40)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    ledger = FileLedger(tmp_path)
    assert (ledger.read("a").status.decided, ledger.read("a").revision) == (80, 80)
    assert [each.message for each in ledger.events("a")] == [str(number) for number in range(1, 81)]
    assert {r.id for r in ledger.read("a").requests} <= {"81"}


def test_a_writer_killed_anywhere_leaves_status_and_events_in_step(tmp_path: Path) -> None:
    ledger, seen = FileLedger(tmp_path), 0
    for _ in range(6):
        process = writer(tmp_path, 1_000_000)
        assert process.stdout is not None
        process.stdout.readline()
        while ledger.read("a").status.decided < seen + 7:  # it is in the middle of its work
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        entry = ledger.read("a")
        assert entry.revision == entry.status.decided > seen
        messages = [int(each.message) for each in ledger.events("a", limit=10_000)]
        assert messages == list(range(1, entry.status.decided + 1))
        seen = entry.status.decided


def test_a_status_file_can_be_read_by_a_person(tmp_path: Path) -> None:
    FileLedger(tmp_path).write("a", Status("a", champion=7), [], 0)
    text = (tmp_path / "a" / "status.json").read_bytes()
    assert text == b'{"revision":1,"status":' + wire.dump(Status("a", champion=7)) + b"}"
