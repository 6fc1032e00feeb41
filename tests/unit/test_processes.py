"""Children of a state folder: found again by their mark alone, told from other folders', ended with all below them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from serinus.adapters import kfp_local_folder
from services.local.processes import STATE, Command, Pace, Processes, sweep

# A child that says "up", starts a child of its own and waits.
PARENT = """
import subprocess, sys, time
below = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
print("up", below.pid, flush=True)
time.sleep(60)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    folder.mkdir()
    yield folder
    sweep(folder, grace=0.1)


def python(state: Path, code: str, name: str = "child") -> Command:
    return Command(name, [sys.executable, "-S", "-c", code], state / "logs" / f"{name}.log")


def says(command: Command, word: str = "up") -> str:
    deadline = time.monotonic() + 20
    while word not in (text := command.log.read_text()):
        assert time.monotonic() < deadline, text
        time.sleep(0.01)
    return text


def dead(processes: Processes, name: str) -> None:
    deadline = time.monotonic() + 20
    while processes.alive(name):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_child_is_started_once(state: Path) -> None:
    processes, command = Processes(state), python(state, PARENT)
    assert processes.start(command)
    pid = processes.pid("child")
    assert not processes.start(command)
    assert processes.pid("child") == pid
    assert processes.names() == ("child",)


def test_another_command_of_the_same_name_replaces_the_child(state: Path) -> None:
    processes, command = Processes(state), python(state, PARENT)
    processes.start(command)
    pid = processes.pid("child")
    assert processes.start(replace(command, env={"COLOUR": "red"}))
    assert processes.pid("child") != pid
    assert pid is not None
    assert not psutil.pid_exists(pid)


def test_a_command_is_another_one_when_its_configuration_is(state: Path) -> None:
    file = state / "config"
    file.write_text("a")
    command = replace(python(state, PARENT), reads=(file,))
    before = command.digest
    assert command.digest == before
    file.write_text("b")
    assert command.digest != before


def test_ending_a_child_ends_all_below_it(state: Path) -> None:
    processes, command = Processes(state), python(state, PARENT)
    processes.start(command)
    below = int(says(command).split()[1])
    processes.stop("child")
    assert not processes.alive("child")
    assert not psutil.pid_exists(below) or psutil.Process(below).status() == psutil.STATUS_ZOMBIE
    assert processes.names() == ()


def test_a_child_that_does_not_listen_is_killed(state: Path) -> None:
    processes, command = Processes(state), python(state, DEAF)
    processes.start(command)
    says(command)
    pid = processes.pid("child")
    assert pid is not None
    processes.stop("child", grace=0.1)
    assert not psutil.pid_exists(pid)


def test_who_comes_after_finds_the_children_by_their_mark_and_not_theirs_nor_another_folders(
    state: Path, tmp_path: Path
) -> None:
    first, command = Processes(state), python(state, PARENT)
    first.start(replace(command, env={"PORT": "7"}))
    says(command)
    other = tmp_path / "other"
    stranger = Processes(other)
    stranger.start(python(other, PARENT, "stranger"))
    try:
        second = Processes(state)
        found = second.adopt()
        assert {name: environment["PORT"] for name, environment in found.items()} == {"child": "7"}
        assert second.pid("child") == first.pid("child")
        assert not second.start(replace(command, env={"PORT": "7"}))
        second.stop("child")
        dead(first, "child")
        assert stranger.alive("stranger")
    finally:
        stranger.stop("stranger", grace=0.1)


def test_of_two_children_of_one_name_only_one_is_left(state: Path) -> None:
    twins = [Processes(state), Processes(state)]
    for number, twin in enumerate(twins):
        command = replace(python(state, PARENT), log=state / f"{number}.log")
        twin.start(command)
        says(command)  # Linux shows no environment, and so no mark, of a program that it is still loading
    pids = {twin.pid("child") for twin in twins}
    assert len(pids) == 2
    third = Processes(state)
    third.adopt()
    assert sorted(twin.alive("child") for twin in twins) == [False, True]
    assert third.pid("child") in pids


def test_sweeping_ends_children_grandchildren_and_runs_but_not_who_sweeps(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes, command = Processes(state), python(state, PARENT)
    processes.start(command)
    says(command)
    run = subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; time.sleep(60)"],
        env={**os.environ, kfp_local_folder.VARIABLE: str(state.resolve() / "runs" / "flights-1")},
    )
    monkeypatch.setenv(STATE, str(state.resolve()))
    try:
        assert sweep(state, grace=2.0) == 3
        run.wait(10)
        dead(processes, "child")
        assert sweep(state) == 0
    finally:
        run.kill()
        run.wait()


def test_an_obituary_has_the_exit_code_and_the_last_words_of_this_life_only(state: Path) -> None:
    processes = Processes(state)
    loud = python(state, "import sys; print('old news'); print('no such port', file=sys.stderr); print(); sys.exit(3)")
    processes.start(loud)
    dead(processes, "child")
    assert processes.obituary("child") == "exit code 3: no such port"
    processes.start(python(state, "import os; os.kill(os.getpid(), 9)"))
    dead(processes, "child")
    assert processes.obituary("child") == "SIGKILL"


def test_a_program_that_cannot_be_started_is_an_os_error(state: Path) -> None:
    processes = Processes(state)
    with pytest.raises(OSError, match="nowhere"):
        processes.start(Command("child", ["/nowhere/program"], state / "log"))
    assert not processes.alive("child")


def test_a_child_that_keeps_dying_is_started_ever_more_slowly() -> None:
    pace, now, starts = Pace(), 1000.0, []
    for _ in range(8):
        while not pace.due(now):
            now += 0.5
        pace = pace.started(now)
        starts.append(now)
    assert [later - earlier for earlier, later in itertools.pairwise(starts)] == [1, 2, 5, 10, 30, 30, 30]


def test_a_child_that_lived_for_a_minute_is_started_at_once() -> None:
    pace = Pace()
    for at in (0.0, 1.0, 3.0, 8.0):
        pace = pace.started(at)
    assert not pace.due(17.9)
    assert pace.due(18.0)
    assert pace.started(80.0) == Pace(1, 80.0)
