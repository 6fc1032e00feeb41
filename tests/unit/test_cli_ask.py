"""Words that ask something of a loop: refused at once, or taken up by the driver."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from serinus import loading
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.adapters.fakes.runner import FakeRunner
from serinus.adapters.file_ledger import FileLedger
from serinus.errors import Fatal
from serinus.facts import Rollout, RunRecord, Status
from services.cli import ask
from services.cli.local import Local
from services.cli.place import Asked, Place
from tests.unit.cli_state import (
    EXAMPLE,
    LOOP,
    NOW,
    SERVING,
    driven,
    serinus,
    state_of,
    up,
)

ON_ITS_WAY = replace(SERVING, rollout=Rollout(4, 3, NOW, 0, NOW, NOW))


@pytest.mark.parametrize(
    ("status", "words", "reason"),
    [
        (SERVING, ("approve", "9"), "version 9 does not wait for approval; no version waits"),
        (replace(SERVING, waiting=5), ("approve", "4"), "version 4 does not wait for approval; version 5 waits"),
        (ON_ITS_WAY, ("approve", "4"), "version 4 does not wait for approval; no version waits"),
        (SERVING, ("reject", "3"), "version 3 neither waits nor is on its way; no version waits"),
        (ON_ITS_WAY, ("reject", "3"),
         "version 3 neither waits nor is on its way; no version waits, and version 4 is on its way"),
        (Status(LOOP, champion=1), ("rollback",),
         "there is nothing to roll back: no canary is on its way and no earlier champion is kept ready"),
        (replace(SERVING, run=RunRecord("k-1", "drift", NOW)), ("run",),
         "run k-1 is in flight; ask again when it has ended"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_once_and_nothing_is_asked(
    status: Status, words: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    state = state_of(tmp_path, status)
    with up(state, (3, 100)):
        said = serinus(*words, "--state", state)
    assert (said.exit_code, said.stdout) == (1, "")
    assert f"✗ {reason}" in said.stderr
    assert list((state / "ledger" / LOOP).glob("inbox/*")) == []


SPEC = loading.read(EXAMPLE)


def _served(*versions: int) -> FakeRegistry:
    """A registry with versions 1 … n."""
    registry = FakeRegistry()
    for number in versions:
        registry.add(LOOP, f"{LOOP}-manual-{number}")
    return registry


def _events(state: Path) -> list[tuple[str, str]]:
    return [(event.kind, event.message) for event in FileLedger(state / "ledger").events(LOOP)]


def test_a_run_is_asked_for_once_and_can_be_waited_for(tmp_path: Path) -> None:
    state = state_of(tmp_path, SERVING, events=())
    runner, registry = FakeRunner(), _served(1, 2, 3)

    def pipeline() -> None:
        while not runner.requests:
            time.sleep(0.01)
        registry.add(LOOP, runner.requests[0].key)
        runner.finish(runner.requests[0].key)

    thread = threading.Thread(target=pipeline)
    thread.start()
    with up(state), driven(state, runner, registry, SPEC):
        said = serinus("run", "--wait", "--state", state)
    thread.join()
    assert said.exit_code == 0
    key = runner.requests[0].key
    assert said.stdout == (
        f"Run {key} was asked for; `serinus status --watch` follows it.\nRun {key} registered version 4.\n"
    )


def test_a_run_that_fails_is_1_and_its_reason(tmp_path: Path) -> None:
    state = state_of(tmp_path, SERVING, events=())
    runner = FakeRunner()

    def pipeline() -> None:
        while not runner.requests:
            time.sleep(0.01)
        runner.fail(runner.requests[0].key, "check", "temp: 30 % nulls [bold], allowed are 20 %")

    thread = threading.Thread(target=pipeline)
    thread.start()
    with up(state), driven(state, runner, _served(1, 2, 3), SPEC):
        said = serinus("run", "--wait", "--state", state)
    thread.join()
    assert said.exit_code == 1
    assert "registered nothing: temp: 30 % nulls [bold], allowed are 20 %" in said.stderr


def test_approving_lets_the_waiting_version_in_and_says_who_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "ada")
    state = state_of(tmp_path, replace(SERVING, waiting=4), events=())
    spec = SPEC.model_copy(update={"spec": SPEC.spec.model_copy(update={"approval": "required"})})
    with up(state), driven(state, FakeRunner(), _served(1, 2, 3, 4), spec):
        said = serinus("approve", "4", "-m", "looks [good]", "--state", state)
    assert said.stdout == "Version 4 was let in; its rollout begins now.\n"
    assert ("Approved", "ada let version 4 in: looks [good]") in _events(state)
    assert FileLedger(state / "ledger").read(LOOP).status.rollout is not None


def test_rejecting_refuses_the_waiting_version_for_good(tmp_path: Path) -> None:
    state = state_of(tmp_path, replace(SERVING, waiting=4), events=())
    spec = SPEC.model_copy(update={"spec": SPEC.spec.model_copy(update={"approval": "required"})})
    with up(state), driven(state, FakeRunner(), _served(1, 2, 3, 4), spec):
        said = serinus("reject", "4", "--state", state)
    assert said.stdout == "Version 4 was rejected; it will not be tried again.\n"
    after = FileLedger(state / "ledger").read(LOOP).status
    assert (after.waiting, after.decided, after.rollout) == (None, 4, None)


def test_rolling_back_throws_the_canary_back(tmp_path: Path) -> None:
    state = state_of(tmp_path, replace(SERVING, rollout=Rollout(4, 3, NOW, -1, NOW, NOW)), events=())
    with up(state), driven(state, FakeRunner(), _served(1, 2, 3, 4), SPEC):
        said = serinus("rollback", "--state", state)
    assert said.stdout == "Version 4 was rolled back; version 3 serves.\n"


def test_rolling_back_without_a_canary_brings_the_last_champion_back(tmp_path: Path) -> None:
    state = state_of(tmp_path, SERVING, events=())
    with up(state), driven(state, FakeRunner(), _served(1, 2, 3), SPEC):
        said = serinus("rollback", "--state", state)
    assert said.stdout == "Version 3 was rolled back; version 2 serves.\n"


def test_what_nobody_takes_up_stays_asked_for_and_is_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Local, "patience", 0.2)
    state = state_of(tmp_path, SERVING)
    with up(state):
        said = serinus("run", "--state", state)
    assert said.exit_code == 1
    assert "the loop did not take the run up within 0 s; it stays asked for" in said.stderr
    assert [request.kind for request in FileLedger(state / "ledger").read(LOOP).requests] == ["run"]


class Overtaken(Local):
    """A loop that something else happened to while the person decided; it took up what was asked all the same."""

    after: Status

    def ask(self, kind: Asked, version: int | None = None, reason: str = "") -> str:
        self.status = lambda: self.after  # type: ignore[method-assign]
        return super().ask(kind, version, reason)


@pytest.mark.parametrize(
    ("before", "word", "after", "said"),
    [
        (replace(SERVING, waiting=4), lambda place: ask.approve(place, 4, ""), replace(SERVING, waiting=5, decided=4),
         "version 4 was not let in; `serinus history` says why"),
        (ON_ITS_WAY, lambda place: ask.reject(place, 4, ""), replace(SERVING, champion=4, previous=3, decided=4),
         "version 4 was not rejected; `serinus history` says why"),
        (ON_ITS_WAY, lambda place: ask.rollback(place, ""), replace(SERVING, champion=4, previous=3, decided=4),
         "version 4 was not rolled back; `serinus history` says why"),
    ],
)  # fmt: skip
def test_what_was_overtaken_by_events_is_not_said_to_be_done(
    before: Status,
    word: Callable[[Place], None],
    after: Status,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = state_of(tmp_path, before)
    place = Overtaken(state)
    monkeypatch.setattr("uuid.uuid4", lambda: UUID(int=7))
    place.after = replace(after, handled=(UUID(int=7).hex,))
    with up(state), pytest.raises(Fatal, match=re.escape(said)):
        word(place)
