"""The local runner's processes: what happens when they die, hang, race, or lose their maker."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from serinus.adapters import kfp_local_folder as folder
from serinus.adapters.kfp_local import LocalRunner
from serinus.errors import Fatal, Unavailable
from serinus.facts import RunRequest, RunState
from tests.servers import patience

REQUESTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

# What a supervisor or a drift job does, in a process of its own: wait for the start, submit, print, live on.
SUBMIT = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from serinus.adapters.kfp_local import LocalRunner
from serinus.facts import RunRequest
folder, pipeline, code, key = sys.argv[1:]
runner = LocalRunner(Path(folder), Path(pipeline), "http://127.0.0.1:9", Path(code))
print("ready", flush=True)
sys.stdin.readline()
state = runner.submit(RunRequest(key, "flights", "drift", datetime(2026, 1, 2, tzinfo=UTC), "{}"))
print(state.key, flush=True)
sys.stdin.readline()
"""


@dataclass(frozen=True)
class Place:
    runs: Path
    code: Path
    pipeline: Path

    def runner(self, deadline: timedelta = timedelta(hours=1), later: timedelta = timedelta()) -> LocalRunner:
        return LocalRunner(
            self.runs, self.pipeline, "http://127.0.0.1:9", self.code, deadline, now=lambda: datetime.now(UTC) + later
        )

    def submitter(self, key: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SUBMIT, str(self.runs), str(self.pipeline), str(self.code), key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def processes(self, key: str) -> list[psutil.Process]:
        return folder.members(self.runs / key)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "code").mkdir()
    yield Place(tmp_path / "runs", tmp_path / "code", patience.compiled(tmp_path))
    for run in (tmp_path / "runs").glob("*/run.json"):
        folder.kill(run.parent)


def asked(key: str) -> RunRequest:
    return RunRequest(key, "flights", "drift", REQUESTED, "{}")


def begun(runner: LocalRunner, key: str) -> RunState:
    state = patience.wait_for(lambda: runner.find(key), lambda run: run is not None and run.step == "patient")
    assert state is not None
    return state


def ended(runner: LocalRunner, key: str) -> RunState:
    state = patience.wait_for(lambda: runner.find(key), lambda run: run is not None and not run.active)
    assert state is not None
    return state


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_run_whose_process_is_killed_has_failed_and_leaves_no_step_behind(place: Place) -> None:
    runner = place.runner()
    runner.submit(asked("flights-1"))
    begun(runner, "flights-1")
    child = next(p for p in place.processes("flights-1") if "kfp_local_child" in " ".join(p.cmdline()))
    child.kill()
    state = ended(runner, "flights-1")
    assert (state.phase, state.step) == ("failed", "patient")
    assert state.reason == "the run's process ended without a result"
    assert place.processes("flights-1") == []
    assert runner.submit(asked("flights-2")).key == "flights-2"


def test_cancelling_leaves_no_process_behind(place: Place) -> None:
    runner = place.runner()
    runner.submit(asked("flights-1"))
    begun(runner, "flights-1")
    assert len(place.processes("flights-1")) >= 2  # the child and its step
    runner.cancel("flights-1")
    assert place.processes("flights-1") == []


def test_a_run_survives_the_death_of_who_asked_for_it(place: Place) -> None:
    supervisor = place.submitter("flights-1")
    go_on(supervisor)
    assert answer(supervisor) == "flights-1"
    supervisor.kill()
    supervisor.wait(10)
    successor = place.runner()
    begun(successor, "flights-1")
    assert [run.key for run in successor.active("flights")] == ["flights-1"]
    patience.say(place.code, "flights-1")
    assert ended(successor, "flights-1").phase == "succeeded"


def test_two_processes_that_ask_at_once_make_one_run(place: Place) -> None:
    both = [place.submitter("flights-a"), place.submitter("flights-b")]
    for process in both:
        go_on(process)
    answers = {answer(process) for process in both}
    for process in both:
        go_on(process)
        process.wait(10)
    assert len(answers) == 1
    assert [path.parent.name for path in place.runs.glob("*/run.json")] == list(answers)


def test_a_run_ends_itself_at_its_deadline(place: Place) -> None:
    runner = place.runner(deadline=timedelta(seconds=3))
    runner.submit(asked("flights-1"))
    state = ended(runner, "flights-1")
    assert (state.phase, state.reason) == ("failed", "the run took longer than its deadline of 3s")
    patience.wait_for(lambda: place.processes("flights-1"), lambda alive: not alive)


def test_a_run_that_cannot_end_itself_is_ended_after_its_deadline(place: Place) -> None:
    runner = place.runner(deadline=timedelta(hours=1))
    runner.submit(asked("flights-1"))
    begun(runner, "flights-1")
    for process in place.processes("flights-1"):
        process.send_signal(signal.SIGSTOP)
    assert runner.active("flights") != ()
    later = place.runner(later=timedelta(hours=2))
    assert later.active("flights") == ()
    state = later.find("flights-1")
    assert state is not None
    assert (state.phase, state.reason) == ("failed", "the run took longer than its deadline")
    assert place.processes("flights-1") == []


def test_a_step_that_crashes_without_a_word_points_to_the_log(place: Place) -> None:
    runner = place.runner()
    runner.submit(asked("flights-1"))
    patience.say(place.code, "flights-1", "crash")
    state = ended(runner, "flights-1")
    log = place.runs / "flights-1" / "log.txt"
    assert (state.phase, state.step) == ("failed", "patient")
    assert state.reason.startswith("step patient ended without saying why")
    assert state.reason.endswith(f"see {log}")
    assert "ValueError: caught by nobody" in log.read_text()


def test_a_pipeline_that_cannot_be_read_fails_the_run_with_its_reason(place: Place) -> None:
    place.pipeline.write_text("not: a pipeline")
    runner = place.runner()
    runner.submit(asked("flights-1"))
    state = ended(runner, "flights-1")
    assert state.phase == "failed"
    assert state.reason.startswith("the pipeline ended without saying why (")


def test_only_the_latest_runs_keep_their_artifacts_and_none_its_temporary_files(place: Place) -> None:
    runner = place.runner()
    keys = [f"flights-{n}" for n in range(7)]
    for key in keys:
        patience.say(place.code, key)
        runner.submit(asked(key))
        assert ended(runner, key).phase == "succeeded"
    # the seventh submit saw six ended runs
    kept = sorted(path.parent.name for path in place.runs.glob("*/artifacts"))
    assert kept == keys[1:]
    assert list(place.runs.glob("*/tmp")) == []
    assert [state.phase for key in keys if (state := runner.find(key))] == ["succeeded"] * 7


def test_a_key_that_is_no_file_name_is_refused(place: Place) -> None:
    for key in ("../elsewhere", "", "a/b", ".hidden", "x" * 201):
        with pytest.raises(Fatal, match="run key"):
            place.runner().submit(asked(key))


def test_a_submit_that_hangs_in_another_process_is_not_waited_for_for_ever(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serinus.adapters.kfp_local._PATIENCE", 0.1)
    place.runs.mkdir()
    with folder.held(place.runs / ".lock"), pytest.raises(Unavailable, match="another process held it"):
        place.runner().submit(asked("flights-1"))
    assert place.runner().find("flights-1") is None
