"""The official client against a stand-in for Kubeflow's backend: what a network and other processes can do to a run."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serinus.adapters import kfp_client
from serinus.adapters import kfp_local_folder as folder
from serinus.adapters.kfp_api import KfpRunner
from serinus.adapters.kfp_client import KfpClient
from serinus.errors import Unavailable
from tests.servers import patience
from tests.servers.kubeflow import MLFLOW, SUBMIT, Place, asked, ended, questions
from tests.servers.mlflow import free_port
from tests.standins.kfp.backend import Backend
from tests.standins.kfp.server import serving


def test_a_server_that_answers_5xx_for_a_while_is_unavailable_and_nothing_is_doubled(place: Place) -> None:
    runner = place.runner()
    place.server.faults.set({"unavailable": 600})
    for question in questions(runner):
        with pytest.raises(Unavailable, match="503"):
            question()
    place.server.faults.set({})
    assert runner.submit(asked("flights-1")).key == "flights-1"
    assert len(place.runs()) == 1


def test_a_slow_server_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kfp_client, "TIMEOUT", (1, 1))
    place.server.faults.set({"slow": 1.5})
    for question in questions(place.runner()):
        with pytest.raises(Unavailable, match="timed out"):
            question()


def test_a_login_page_is_no_answer(place: Place) -> None:
    place.server.faults.set({"login_page": True})
    for question in questions(place.runner()):
        with pytest.raises(Unavailable, match="a login page"):
            question()


def test_a_login_that_sends_elsewhere_is_not_followed(place: Place) -> None:
    place.server.faults.set({"redirect": True})
    for question in questions(place.runner()):
        with pytest.raises(Unavailable, match=r"302: sent elsewhere \(/dex/auth\): a login is in the way"):
            question()


def test_an_installation_that_was_made_anew_is_not_asked_for_what_the_old_one_had(place: Place, tmp_path: Path) -> None:
    runner = place.runner()
    assert runner.submit(asked("flights-1")).active
    assert len(runner.active("flights")) == 1
    old, place.server.backend = place.server.backend, Backend(tmp_path / "anew")
    assert runner.active("flights") == ()
    assert runner.submit(asked("flights-1")).active
    assert len(runner.active("flights")) == 1
    for run in (*(old.folder / "runs").iterdir(), *(tmp_path / "anew" / "runs").iterdir()):
        folder.kill(run)


def test_a_create_whose_answer_is_lost_made_one_run(place: Place) -> None:
    place.server.faults.set({"drop_creates": 1})
    state = place.runner().submit(asked("flights-1"))
    assert (state.key, state.cause, state.active) == ("flights-1", "drift", True)
    assert [run["display_name"] for run in place.runs()] == ["flights-1"]


def test_a_create_that_made_nothing_is_unavailable(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise Unavailable("500: somewhere")

    monkeypatch.setattr(KfpClient, "create_run", refuse)
    with pytest.raises(Unavailable, match="500: somewhere"):
        place.runner().submit(asked("flights-1"))


@pytest.mark.parametrize("keys", [("flights-a", "flights-b"), ("flights-a", "flights-a")])
def test_two_processes_that_ask_at_once_make_one_run_that_counts(place: Place, keys: tuple[str, str]) -> None:
    (place.folder / "pipeline.yaml").write_text(place.pipeline)
    words = [sys.executable, "-c", SUBMIT, place.server.url, str(place.folder / "pipeline.yaml"), str(place.code)]
    processes = [
        subprocess.Popen([*words, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for key in keys
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    place.server.faults.set({"together": 2})  # so that neither sees the other's run before it makes its own
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(place.runs()) == 2, "it was a race"
    place.server.faults.set({})
    runner = place.runner()
    (first,) = runner.active("flights")
    assert [run["display_name"] for run in place.runs() if run["storage_state"] == "AVAILABLE"] == [first.key]
    for key in set(keys) - {first.key}:
        assert runner.find(key) is None, "as if it had never been asked"
    patience.say(place.code, first.key)
    assert ended(runner, first.key).phase == "succeeded"
    patience.wait_for(
        lambda: sorted(run["state"] for run in place.runs()), lambda states: states == ["FAILED", "SUCCEEDED"]
    )


def test_of_two_active_runs_the_later_is_ended_by_whoever_sees_both(place: Place) -> None:
    runner = place.runner()
    first = runner.submit(asked("flights-1"))
    parameters = {"loop": "{}", "trigger": "flights-2", "mlflow_uri": MLFLOW, "folder": str(place.code)}
    created = datetime.now(UTC).replace(microsecond=0)
    patience.wait_for(lambda: datetime.now(UTC), lambda now: now > created + timedelta(seconds=1))
    second = place.by_hand("flights-1", display_name="flights-2", runtime_config={"parameters": parameters})
    assert [run.key for run in place.runner().active("flights")] == ["flights-1"]
    assert runner.find("flights-2") is None
    patience.wait_for(
        lambda: {run["run_id"]: run["state"] for run in place.runs()}, lambda states: states[second] == "FAILED"
    )
    patience.say(place.code, "flights-1")
    assert ended(runner, "flights-1").created == first.created
    assert runner.submit(asked("flights-2")).key == "flights-2", "the superseded trigger may still be run"


@contextlib.contextmanager
def process(port: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The stand-in as a process of its own; killed at the end."""
    words = [sys.executable, "-m", "tests.standins.kfp", "--port", str(port), "--folder", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline().startswith("stand-in for Kubeflow Pipelines: ")
            yield running
        finally:
            running.kill()


def test_runs_outlive_a_server_that_is_killed(tmp_path: Path, compiled: str) -> None:
    (tmp_path / "code").mkdir()
    port = free_port()
    runner = KfpRunner(f"http://127.0.0.1:{port}", compiled, MLFLOW, folder=str(tmp_path / "code"))
    with process(port, tmp_path / "kfp"):
        made = runner.submit(asked("flights-1"))
    with pytest.raises(Unavailable):
        runner.find("flights-1")
    with process(port, tmp_path / "kfp"):
        assert runner.submit(asked("flights-1")).created == made.created
        patience.say(tmp_path / "code", "flights-1")
        assert ended(runner, "flights-1").phase == "succeeded"


def test_a_run_that_takes_too_long_is_ended_and_says_so(place: Place) -> None:
    place.runner().submit(asked("flights-1"))
    late = place.runner(later=timedelta(hours=1, seconds=5))
    (state,) = late.active("flights")
    assert state.active, "its pods are still there"
    state = ended(late, "flights-1")
    assert (state.phase, state.reason) == ("failed", "the run took longer than its deadline of 1h")
    assert late.active("flights") == ()


def test_a_server_that_does_not_end_a_late_run_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.runner().submit(asked("flights-1"))
    monkeypatch.setattr(KfpClient, "terminate", lambda *_arguments: None)
    assert [run.active for run in place.runner(later=timedelta(hours=1, minutes=4)).active("flights")] == [True]
    much_later = place.runner(later=timedelta(hours=1, minutes=6))
    assert much_later.active("flights") == ()
    state = much_later.find("flights-1")
    assert state is not None
    assert (state.phase, state.reason) == ("failed", "the run took longer than its deadline of 1h")
    assert much_later.submit(asked("flights-2")).key == "flights-2", "the loop is not held up by a run that is stuck"


def test_a_token_is_sent_and_read_anew_for_every_request(tmp_path: Path, compiled: str) -> None:
    first, second = "one two", "three four"
    token = tmp_path / "token"
    token.write_text(first)
    with serving(tmp_path / "kfp", token=first) as server:
        runner = KfpRunner(server.url, compiled, MLFLOW, namespace="team", token_path=str(token))
        assert runner.active("flights") == ()
        token.write_text(second)
        with pytest.raises(Unavailable, match="401"):
            runner.active("flights")
        server.token = second
        assert runner.active("flights") == ()
        token.unlink()
        with pytest.raises(Unavailable, match="token"):
            runner.active("flights")
