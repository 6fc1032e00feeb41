"""`serinus audit`: what the trail shows of whoever rewrote it, and what only a note or the loop's history shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from serinus import wire
from serinus.adapters.audit_file import FileAudit
from serinus.adapters.file_ledger import FileLedger
from serinus.decide.audit import deed, link
from serinus.facts import AuditEntry, Event, Status
from services.cli.main import app

LOOP = "flights"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVENTS = [Event(NOW + timedelta(minutes=n), "Promoted", f"version {n} serves everyone", n) for n in range(1, 6)]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A loop of five events, all of them in the trail."""
    (tmp_path / "loop").write_text(LOOP)
    FileLedger(tmp_path / "ledger").write(LOOP, Status(LOOP), EVENTS, 0)
    FileAudit(tmp_path / "audit.jsonl").append([deed(LOOP, event) for event in EVENTS])
    return tmp_path


def cli(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, words)], catch_exceptions=False)


def entries(state: Path) -> list[AuditEntry]:
    return list(FileAudit(state / "audit.jsonl").entries())


def rewrite(state: Path, change: Callable[[list[AuditEntry]], list[AuditEntry]]) -> None:
    lines = [wire.dump(entry) + b"\n" for entry in change(entries(state))]
    (state / "audit.jsonl").write_bytes(b"".join(lines))


def forge(kept: list[AuditEntry]) -> list[AuditEntry]:
    """All made anew, with another third deed: the chain is whole."""
    made: list[AuditEntry] = []
    for entry in kept:
        told = replace(entry.deed, by="eve") if entry.number == 3 else entry.deed
        made.append(link(made[-1] if made else None, told))
    return made


def test_a_whole_trail_is_said_to_be_whole_and_what_to_note(state: Path) -> None:
    result = cli("verify", "--state", state)
    assert result.exit_code == 0
    assert "5 entries, 2026-03-02 12:01:00 UTC to 2026-03-02 12:05:00 UTC" in result.output
    assert f"--noted 5:{entries(state)[-1].digest}" in result.output


def test_for_scripts_it_is_json(state: Path) -> None:
    found = json.loads(cli("verify", "--state", state, "-o", "json").stdout)
    assert (found["entries"], found["problem"], found["last"]) == (5, "", entries(state)[-1].digest)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda kept: [*kept[:2], replace(kept[2], deed=replace(kept[2].deed, by="eve")), *kept[3:]], "entry 3 ("),
        (lambda kept: [*kept[:2], *kept[3:]], "entry 3 was removed"),
        (lambda kept: [kept[0], kept[2], kept[1], *kept[3:]], "entry 2 was removed or put elsewhere"),
        (lambda kept: [*kept[:3], kept[1], *kept[3:]], "entry 2 is there twice"),
    ],
    ids=["changed", "removed", "reordered", "doubled"],
)
def test_who_rewrote_it_is_found_and_the_entry_is_named(
    state: Path, change: Callable[[list[AuditEntry]], list[AuditEntry]], said: str
) -> None:
    rewrite(state, change)
    result = cli("verify", "--state", state)
    assert result.exit_code == 1
    assert said in result.output


def test_an_end_that_was_cut_off_is_found_by_the_loops_history(state: Path) -> None:
    rewrite(state, lambda kept: kept[:4])
    result = cli("verify", "--state", state)
    assert result.exit_code == 1
    assert "Promoted of 2026-03-02 12:05:00 UTC is in the loop's history and not in the trail" in result.output


def test_what_has_just_happened_may_not_be_there_yet(state: Path) -> None:
    late = Event(datetime.now(UTC), "Promoted", "version 6 serves everyone", 6)
    FileLedger(state / "ledger").write(LOOP, Status(LOOP), [late], 1)
    assert cli("verify", "--state", state).exit_code == 0


def test_what_was_noted_is_there_still(state: Path) -> None:
    third = entries(state)[2].digest
    for digest in (third, third[:12]):
        assert cli("verify", "--state", state, "--noted", f"3:{digest}").exit_code == 0


def test_a_trail_that_was_made_anew_is_found_by_a_note(state: Path) -> None:
    third = entries(state)[2].digest
    rewrite(state, forge)
    assert cli("verify", "--state", state).exit_code == 0, "the chain alone cannot know"
    result = cli("verify", "--state", state, "--noted", f"3:{third}")
    assert result.exit_code == 1
    assert "the trail was made anew" in result.output


def test_an_exported_end_that_was_cut_off_is_found_by_a_note(state: Path) -> None:
    last = entries(state)[-1].digest
    rewrite(state, lambda kept: kept[:4])
    result = cli("verify", state / "audit.jsonl", "--noted", f"5:{last}")
    assert result.exit_code == 1
    assert "entry 5 was noted, but it is not there" in result.output


@pytest.mark.parametrize("note", ["3", "3:", "x:" + "a" * 12, "3:abc", "3:" + "A" * 12, "3:" + "a" * 65])
def test_a_note_that_is_none_is_wrong_use(state: Path, note: str) -> None:
    result = cli("verify", "--state", state, "--noted", note)
    assert result.exit_code == 2
    assert "NUMBER:DIGEST" in result.output


def test_a_line_that_is_no_entry_is_named(state: Path) -> None:
    lines = (state / "audit.jsonl").read_bytes().splitlines(keepends=True)
    (state / "audit.jsonl").write_bytes(b"".join([*lines[:2], b"{}\n", *lines[3:]]))
    result = cli("verify", "--state", state)
    assert result.exit_code == 1
    assert "line 3 is not an entry" in result.output


def test_a_trail_of_many_pages_is_looked_through_to_its_end(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.cli import trails

    monkeypatch.setattr(trails, "_PAGE", 2)
    assert json.loads(cli("verify", "--state", state, "-o", "json").stdout)["entries"] == 5
    rewrite(state, lambda kept: [*kept[:4], replace(kept[4], deed=replace(kept[4].deed, by="eve"))])
    assert "entry 5 (" in cli("verify", "--state", state).output
    rewrite(state, lambda kept: [*kept[:2], kept[1], *kept[2:]])
    assert "entry 2 is there twice" in cli("verify", "--state", state).output


def test_where_there_is_no_trail_that_is_said(tmp_path: Path) -> None:
    result = cli("verify", "--state", tmp_path)
    assert result.exit_code == 1
    assert "there is no audit trail at" in result.output


def test_a_trail_without_entries_says_so(tmp_path: Path) -> None:
    (tmp_path / "loop").write_text(LOOP)
    FileAudit(tmp_path / "audit.jsonl").append([])
    result = cli("verify", "--state", tmp_path)
    assert result.exit_code == 0
    assert "has no entries yet" in result.output


def test_a_clusters_trail_needs_the_collectors_address() -> None:
    result = cli("verify", "--loop", "flights")
    assert result.exit_code == 1
    assert "expected --collector URL beside --loop" in result.output


def test_an_export_is_the_trail_line_by_line_and_writes_over_nothing(state: Path, tmp_path: Path) -> None:
    assert cli("export", "--state", state).stdout_bytes == (state / "audit.jsonl").read_bytes()
    out = tmp_path / "out.jsonl"
    assert cli("export", "--state", state, "--out", out).exit_code == 0
    assert out.read_bytes() == (state / "audit.jsonl").read_bytes()
    result = cli("export", "--state", state, "--out", out)
    assert result.exit_code == 1
    assert "cannot be written" in result.output


def test_an_export_of_a_trail_that_somebody_rewrote_says_so(state: Path) -> None:
    rewrite(state, lambda kept: kept[1:])
    result = cli("export", "--state", state)
    assert result.exit_code == 1
    assert "entry 1 was removed" in result.output
