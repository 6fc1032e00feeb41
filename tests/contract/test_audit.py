"""The port Audit: the file and the fake keep the same promises (the collector's are tested beside it)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serinus import wire
from serinus.adapters import audit_file
from serinus.adapters.audit_file import FileAudit
from serinus.adapters.fakes.audit import FakeAudit
from serinus.decide.audit import link, verify
from serinus.errors import Fatal, Unavailable
from serinus.ports import Audit
from tests.contract.audit_suite import AuditPromises, deed


@pytest.mark.parametrize("backend", ["file", "fake"])
class TestAudit(AuditPromises):
    @pytest.fixture
    def audit(self, backend: str, tmp_path: Path) -> Audit:
        return FakeAudit() if backend == "fake" else FileAudit(tmp_path / "deep" / "audit.jsonl")

    @pytest.fixture
    def away(self, backend: str, tmp_path: Path) -> Audit:
        if backend == "fake":
            fake = FakeAudit()
            fake.away = "the trail is away"
            return fake
        (tmp_path / "file").write_text("not a folder")
        return FileAudit(tmp_path / "file" / "audit.jsonl")


# --- a file alone ------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A trail of three entries."""
    file = tmp_path / "audit.jsonl"
    FileAudit(file).append([deed(1), deed(2), deed(3)])
    return file


def test_a_line_is_an_entry_as_json_and_nobody_else_may_read_it(path: Path) -> None:
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [1, 2, 3]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_another_process_added_is_seen_and_followed(path: Path) -> None:
    one, other = FileAudit(path), FileAudit(path)
    assert one.append([deed(4)]) == 1
    assert other.append([deed(4), deed(5)]) == 1
    assert one.append([deed(5), deed(6)]) == 1
    assert [entry.number for entry in other.entries(3)] == [4, 5, 6]
    assert verify(one.entries()) is None


def test_threads_that_append_at_once_leave_one_chain(path: Path) -> None:
    audit = FileAudit(path)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: audit.append([deed(number), deed(number + 1)]), range(10, 40)))
    assert sum(made) == 31
    assert verify(audit.entries()) is None
    assert len(audit.entries()) == 34


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_torn_last_line_is_not_read_and_goes_with_the_next_append(path: Path, kept: int) -> None:
    whole = path.read_bytes()
    line = wire.dump(link(FileAudit(path).entries()[-1], deed(4))) + b"\n"
    path.write_bytes(whole + line[:kept])
    if kept > 0:
        assert len(FileAudit(path).entries()) == 3
        assert path.read_bytes() == whole + line[:kept], "who reads changes nothing"
    assert FileAudit(path).append([deed(4)]) == (0 if kept == -1 else 1)
    assert path.read_bytes() == whole + line


def test_a_trail_whose_last_newline_an_editor_took_loses_no_entry(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert FileAudit(path).append([deed(3), deed(4)]) == 1
    assert [entry.deed.id for entry in FileAudit(path).entries()] == ["deed-1", "deed-2", "deed-3", "deed-4"]


@pytest.mark.parametrize("content", [b"", b"{}", b"not JSON", b'{"number": 2}'])
def test_a_line_that_is_no_entry_is_named_and_nothing_is_appended_behind_it(path: Path, content: bytes) -> None:
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], content, lines[2], b""]))
    before = path.read_bytes()
    for use in (lambda: FileAudit(path).entries(), lambda: FileAudit(path).append([deed(4)])):
        with pytest.raises(Fatal, match="line 2 is not an entry of the audit trail"):
            use()
    assert path.read_bytes() == before


def test_entries_that_somebody_rewrote_are_given_as_they_are_stored_and_none_is_left_out(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[2], lines[1]]))
    assert [entry.number for entry in FileAudit(path).entries()] == [1, 3, 2]
    assert [entry.number for entry in FileAudit(path).entries(1)] == [3, 2]
    assert [entry.number for entry in FileAudit(path).entries(2)] == [3, 2], "not at its place: found by its number"
    assert verify(FileAudit(path).entries()) is not None


def test_a_file_that_was_replaced_under_us_is_read_anew(path: Path) -> None:
    audit = FileAudit(path)
    assert len(audit.entries()) == 3
    other = FileAudit(path.with_name("other"))
    other.append([deed(7)])
    other.path.replace(path)
    assert [entry.deed.id for entry in audit.entries()] == ["deed-7"]
    assert audit.append([deed(1), deed(7)]) == 1
    assert verify(audit.entries()) is None


def test_a_trail_that_another_process_holds_for_long_is_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(audit_file, "_LOCK_DEADLINE", 0.0)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="has held the audit trail"):
            FileAudit(path).append([deed(4)])
    assert FileAudit(path).append([deed(4)]) == 1


_WRITER = """
import sys
from pathlib import Path
from serinus.adapters.audit_file import FileAudit
from serinus.adapters.fakes.audit import FakeAudit
from tests.contract.audit_suite import deed
audit, number = FileAudit(Path(sys.argv[1])), int(sys.argv[2])
while True:
    audit.append([deed(number), deed(number + 1), deed(number + 2)])
    print(number, flush=True)
    number += 3
"""


def test_writers_that_are_killed_lose_nothing_that_they_said_they_kept(tmp_path: Path) -> None:
    path, told = tmp_path / "audit.jsonl", set[int]()
    for turn in range(3):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", _WRITER, str(path), str(100_000 * (2 * turn + each + 1))],
                stdout=subprocess.PIPE,
                text=True,
            )
            for each in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None
            for _ in range(5 + turn):
                told.add(int(writer.stdout.readline()))
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            rest, _ = writer.communicate(timeout=30)
            told.update(int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n"))
    audit = FileAudit(path)
    assert audit.append([deed(1)]) == 1
    entries = audit.entries(limit=10**6)
    assert verify(entries) is None
    ids = [entry.deed.id for entry in entries]
    assert len(ids) == len(set(ids))
    assert {f"deed-{number + each}" for number in told for each in range(3)} <= set(ids)
