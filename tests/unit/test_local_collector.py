"""How the collector of a local loop is started, and what the predictors are told of it."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from serinus.spec import Collect
from services.local import programs
from services.local.addresses import Addresses
from services.local.server import collecting
from services.predictor.__main__ import arguments

PORTS = Addresses(1, 2, 3, 4, 5, 6)


def test_the_key_of_the_hashes_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "collector"
    file = programs.hash_key(folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = file.read_text()
    assert len(made) == 64
    assert programs.hash_key(folder).read_text() == made
    assert programs.hash_key(tmp_path / "other").read_text() != made
    assert [each.name for each in folder.iterdir()] == ["hash-key"]


def test_a_key_that_a_killed_supervisor_left_half_made_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / ".hash-key.tmp").write_text("half")
    assert len(programs.hash_key(tmp_path).read_text()) == 64


def test_secrets_and_the_database_are_not_in_the_collector_s_command_line(tmp_path: Path) -> None:
    program = programs.collector(tmp_path, PORTS, timedelta(days=30))
    words = " ".join(program.command.argv)
    assert (tmp_path / "collector" / "hash-key").read_text() not in words
    assert program.command.env == {"SERINUS_DATABASE_URL": f"sqlite:///{tmp_path}/collector/records.db"}
    assert (program.name, program.ready, program.listens) == ("collector", "http://127.0.0.1:6/readyz", (6,))


def test_another_retention_is_another_command(tmp_path: Path) -> None:
    one, other = (programs.collector(tmp_path, PORTS, timedelta(days=days)).command for days in (30, 31))
    assert one.digest == programs.collector(tmp_path, PORTS, timedelta(days=30)).command.digest != other.digest


def test_without_collect_predictors_are_told_of_no_collector() -> None:
    assert collecting(None, "http://127.0.0.1:6") == []


@pytest.mark.parametrize(
    ("columns", "told"), [(None, None), ((), [""]), (("a", "b"), ["a", "b"])], ids=["all", "none", "some"]
)
def test_predictors_are_told_what_the_spec_says(columns: tuple[str, ...] | None, told: list[str] | None) -> None:
    words = collecting(Collect(sample=0.5, columns=columns, hash=("c", "d"), key="order"), "http://127.0.0.1:6")
    args = arguments(["--model-dir", "x", "--loop", "x", "--version", "1", *words])
    assert (args.collector, args.sample, args.columns, args.hash, args.key) == (
        "http://127.0.0.1:6", 0.5, told, ["c", "d"], "order",
    )  # fmt: skip


def test_without_a_key_callers_may_not_send_one() -> None:
    assert "--key" not in collecting(Collect(), "http://127.0.0.1:6")
