"""The port Runner, over the fake, the real local runner and the official client of Kubeflow Pipelines with a stand-in
for its backend; the latter two with a pipeline of one patient step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serinus.adapters import kfp_local_folder as folder
from serinus.adapters.fakes.runner import FakeRunner
from serinus.adapters.kfp_api import KfpRunner
from serinus.adapters.kfp_local import LocalRunner
from serinus.errors import Unavailable
from serinus.facts import RunRequest, RunState
from serinus.ports import Runner
from tests.servers import patience
from tests.standins.kfp.server import serving

REQUESTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Rig:
    """A runner, and the hands that play the pipeline's part behind it."""

    runner: Runner
    begin: Callable[[str], None]
    finish: Callable[[str], None]
    fail: Callable[[str, str], None]
    unplug: Callable[[], None]

    def ended(self, key: str) -> RunState:
        state = patience.wait_for(lambda: self.runner.find(key), lambda run: run is not None and not run.active)
        assert state is not None
        return state


def local(directory: Path) -> Iterator[Rig]:
    code, runs = directory / "code", directory / "runs"
    code.mkdir()
    runner = LocalRunner(runs, patience.compiled(directory), "http://127.0.0.1:9", code)

    def begin(key: str) -> None:
        patience.wait_for(lambda: runner.find(key), lambda run: run is not None and run.step == "patient")

    def unplug() -> None:
        runs.write_text("a file where the folder should be")

    yield Rig(
        runner,
        begin,
        lambda key: patience.say(code, key),
        lambda key, reason: patience.say(code, key, reason),
        unplug,
    )
    if runs.is_dir():
        for run in runs.glob("*/run.json"):
            runner.cancel(run.parent.name)


def kfp(directory: Path) -> Iterator[Rig]:
    code = directory / "code"
    code.mkdir()
    words: dict[tuple[str, str], tuple[str, str]] = {}  # what MLflow keeps

    def refuse(loop: str, key: str, step: str, reason: str) -> None:
        words[loop, key] = (step, reason)

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(directory / "kfp"))
        text = patience.compiled(directory).read_text()
        runner = KfpRunner(
            server.url, text, "http://127.0.0.1:9",
            reason=lambda loop, key: words.get((loop, key)), refuse=refuse, folder=str(code),
        )  # fmt: skip

        def begin(key: str) -> None:
            patience.wait_for(lambda: runner.find(key), lambda run: run is not None and run.step == "patient")

        def fail(key: str, reason: str) -> None:
            refuse("flights", key, "patient", reason)  # as a step does before it fails
            patience.say(code, key, reason)

        yield Rig(runner, begin, lambda key: patience.say(code, key), fail, stack.close)
        for run in (directory / "kfp" / "runs").iterdir():
            folder.kill(run)


def fake(directory: Path) -> Iterator[Rig]:
    runner = FakeRunner()

    def unplug() -> None:
        runner.away = "connection refused"

    yield Rig(
        runner,
        lambda key: runner.advance(key, "patient"),
        runner.finish,
        lambda key, reason: runner.fail(key, "patient", reason),
        unplug,
    )


@pytest.fixture(params=[local, kfp, fake], ids=["local", "kfp", "fake"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    yield from request.param(tmp_path)


def asked(key: str, loop: str = "flights") -> RunRequest:
    return RunRequest(key, loop, "drift", REQUESTED, "{}")


def test_a_run_goes_from_pending_over_running_to_succeeded(rig: Rig) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    made = rig.runner.submit(asked("flights-1"))
    assert (made.key, made.loop, made.cause, made.active, made.ended) == ("flights-1", "flights", "drift", True, None)
    assert made.created > before
    rig.begin("flights-1")
    running = rig.runner.find("flights-1")
    assert running == RunState("flights-1", "flights", "drift", "running", made.created, None, "patient")
    assert rig.runner.active("flights") == (running,)
    rig.finish("flights-1")
    ended = rig.ended("flights-1")
    assert (ended.phase, ended.reason, ended.created) == ("succeeded", "", made.created)
    assert ended.ended is not None
    assert ended.ended >= made.created
    assert rig.runner.active("flights") == ()


def test_the_same_key_is_one_run_before_and_after_it_ends(rig: Rig) -> None:
    first = rig.runner.submit(asked("flights-1"))
    rig.begin("flights-1")
    assert rig.runner.submit(asked("flights-1")).created == first.created
    rig.finish("flights-1")
    ended = rig.ended("flights-1")
    assert rig.runner.submit(asked("flights-1")) == ended
    assert rig.runner.active("flights") == ()


def test_another_key_gets_the_active_run_of_the_loop_and_starts_nothing(rig: Rig) -> None:
    first = rig.runner.submit(asked("flights-1"))
    counts = rig.runner.submit(asked("flights-2"))
    assert (counts.key, counts.created) == ("flights-1", first.created)
    assert rig.runner.find("flights-2") is None
    rig.begin("flights-1")
    rig.finish("flights-1")
    rig.ended("flights-1")
    assert rig.runner.submit(asked("flights-2")).key == "flights-2"


def test_loops_do_not_wait_for_each_other(rig: Rig) -> None:
    rig.runner.submit(asked("flights-1"))
    assert rig.runner.submit(asked("trains-1", loop="trains")).key == "trains-1"
    assert [run.key for run in rig.runner.active("flights")] == ["flights-1"]
    assert [run.key for run in rig.runner.active("trains")] == ["trains-1"]


def test_a_failed_run_says_in_which_step_and_why(rig: Rig) -> None:
    rig.runner.submit(asked("flights-1"))
    rig.begin("flights-1")
    rig.fail("flights-1", "temp: 30 % nulls, allowed are 20 %")
    ended = rig.ended("flights-1")
    assert (ended.phase, ended.step, ended.reason) == ("failed", "patient", "temp: 30 % nulls, allowed are 20 %")


def test_cancelling_ends_a_run_and_may_be_repeated(rig: Rig) -> None:
    rig.runner.submit(asked("flights-1"))
    rig.begin("flights-1")
    rig.runner.cancel("flights-1")
    ended = rig.ended("flights-1")  # Kubeflow takes its time
    assert (ended.phase, ended.step, ended.reason) == ("failed", "patient", "cancelled")
    rig.runner.cancel("flights-1")
    assert rig.runner.find("flights-1") == ended
    assert rig.runner.active("flights") == ()


def test_cancelling_does_not_touch_a_run_that_ended_or_never_was(rig: Rig) -> None:
    rig.runner.submit(asked("flights-1"))
    rig.begin("flights-1")
    rig.finish("flights-1")
    ended = rig.ended("flights-1")
    rig.runner.cancel("flights-1")
    rig.runner.cancel("flights-2")
    assert rig.runner.find("flights-1") == ended
    assert rig.runner.find("flights-2") is None


def test_a_run_that_nobody_asked_for_is_none(rig: Rig) -> None:
    assert rig.runner.find("flights-1") is None
    assert rig.runner.active("flights") == ()


def test_a_runner_that_cannot_be_asked_says_so_and_guesses_nothing(rig: Rig) -> None:
    rig.unplug()
    with pytest.raises(Unavailable):
        rig.runner.submit(asked("flights-1"))
    with pytest.raises(Unavailable):
        rig.runner.find("flights-1")
    with pytest.raises(Unavailable):
        rig.runner.active("flights")
    with pytest.raises(Unavailable):
        rig.runner.cancel("flights-1")
