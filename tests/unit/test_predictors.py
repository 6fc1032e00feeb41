"""Servers for the router: wanted, fetched, started, probed, missed, restarted and let go; with light processes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from serinus import artifact
from serinus.adapters.envoy import ServerState
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.spec import ModelLoop
from services.local import predictors as module
from services.local.predictors import Predictors
from services.local.processes import Command, Processes, sweep
from services.local.server import MODEL, PORT
from tests.made_up_models import model_dir
from tests.servers.envoy import ANSWERING, answers
from tests.unit.loop_cases import SPEC

LOOP = "flights"
URL = "http://127.0.0.1:6"


class Light(Predictors):
    """Starts a script of few words, or one that dies, instead of KServe's server."""

    program = ANSWERING

    def _command(self, version: int, port: int, model: str) -> Command:
        full = super()._command(version, port, model)
        return Command(
            full.name, [sys.executable, "-S", str(self.program), str(port), str(version)], full.log, full.env
        )


class Bench:
    def __init__(self, folder: Path) -> None:
        self.state, self.targets = folder / "state", folder / "targets.json"
        self.registry = FakeRegistry()
        for number in (1, 2):
            model = model_dir(folder / f"model-{number}", f"model {number}".encode())
            self.registry.register(LOOP, f"flights-manual-{number}", model, {}, {})
        self.take_over()

    def take_over(self, spec: ModelLoop = SPEC, patience: float | None = None) -> None:
        """Be the supervisor after the one before; patience: seconds for an answer to a probe."""
        self.processes = Processes(self.state)
        found = self.processes.adopt()
        self.servers = Light(self.processes, self.registry, self.state, spec, self.state, self.targets, URL)
        self.servers._client.timeout = patience or self.servers._client.timeout
        self.servers.adopt(found)

    def of(self, version: int) -> ServerState | None:
        return self.servers.state().get(version)

    def until(self, holds: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, self.servers.state()
            self.servers.follow()
            time.sleep(0.01)

    def ready(self, *versions: int) -> None:
        self.servers.want(versions)
        self.until(lambda: all((server := self.of(v)) is not None and server.ready for v in versions))

    def told(self) -> list[str]:
        (group,) = json.loads(self.targets.read_text())
        return list(group["targets"])

    def process(self, version: int) -> psutil.Process:
        pid = self.processes.pid(f"predictor-{version}")
        assert pid is not None
        return psutil.Process(pid)

    def directory(self, version: int) -> Path:
        return self.state / "models" / LOOP / str(version)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.servers.end()
    sweep(made.state, grace=0.5)


def test_a_version_shows_up_at_once_and_gets_ready_and_prometheus_is_told(bench: Bench) -> None:
    bench.servers.want([1])
    assert bench.of(1) == ServerState(None, False, "its model is fetched", 0)
    bench.ready(1)
    server = bench.of(1)
    assert server is not None
    assert server.port is not None
    assert server == ServerState(server.port, True, "", 0)
    assert answers(server.port)
    assert bench.told() == [f"127.0.0.1:{server.port}"]
    assert bench.processes.names() == ("predictor-1",)


def test_a_version_that_is_not_wanted_any_more_is_ended_and_forgotten(bench: Bench) -> None:
    bench.ready(1, 2)
    gone = bench.process(2)
    bench.servers.want([1])
    ending = bench.of(2)
    assert ending is not None
    assert (ending.ready, ending.message) == (False, "it is ending")
    bench.until(lambda: bench.of(2) is None)
    assert not gone.is_running()
    server = bench.of(1)
    assert server is not None
    assert bench.told() == [f"127.0.0.1:{server.port}"]


def test_a_version_that_is_wanted_again_while_it_ends_is_started_anew_without_a_restart_counted(bench: Bench) -> None:
    bench.ready(1)
    old = bench.process(1)
    bench.servers.want([])
    bench.servers.want([1])
    bench.until(lambda: (server := bench.of(1)) is not None and server.ready)
    assert not old.is_running()
    server = bench.of(1)
    assert server is not None
    assert server.restarts == 0


def test_a_server_that_does_not_end_is_killed_in_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAVE", 0.2)
    bench.ready(1)
    stuck = bench.process(1)
    stuck.suspend()
    bench.servers.want([])
    bench.until(lambda: bench.of(1) is None)
    assert not stuck.is_running()


def test_a_server_that_dies_is_started_again_on_another_port_and_the_restart_is_counted(bench: Bench) -> None:
    bench.ready(1)
    before = bench.of(1)
    bench.process(1).kill()
    bench.until(lambda: bench.servers.state()[1].restarts == 1)
    died = bench.servers.state()[1]
    assert (died.ready, died.message) == (False, "its server ended (SIGKILL); it is started again")
    assert bench.servers.troubles() == {"version 1": "its server ended (SIGKILL)"}
    bench.ready(1)
    after = bench.of(1)
    assert before is not None
    assert after is not None
    assert (after.restarts, after.message) == (1, "")
    assert after.port != before.port
    assert bench.servers.troubles() == {}


def test_a_server_that_never_gets_ready_says_its_last_words_and_is_tried_ever_more_slowly(
    bench: Bench, tmp_path: Path
) -> None:
    bench.servers.program = tmp_path / "dies.py"
    bench.servers.program.write_text("import sys; sys.exit('predictor: holds types that nobody allowed: own.Type')")
    bench.servers.want([1])
    bench.until(lambda: bench.servers.state()[1].restarts == 2)
    state = bench.servers.state()[1]
    assert not state.ready
    assert "its server ended (exit code 1: predictor: holds types that nobody allowed: own.Type)" in state.message
    at = time.monotonic()
    bench.until(lambda: bench.servers.state()[1].restarts == 3)
    assert time.monotonic() - at > 1.5


def test_a_server_that_does_not_answer_is_unready_after_three_probes_and_replaced_after_fifteen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.servers._client.timeout = 0.05
    bench.ready(1)
    hung = bench.process(1)
    hung.suspend()
    bench.servers.follow()
    bench.servers.follow()
    assert bench.servers.state()[1].ready, "a busy machine may miss a probe or two"
    bench.servers.follow()
    assert bench.servers.state()[1].message == "no answer to 3 readiness probes in a row"
    bench.until(lambda: (server := bench.of(1)) is not None and server.ready)
    assert not hung.is_running()


def test_a_model_that_cannot_be_had_is_told_and_asked_for_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN", dict.fromkeys(module._AGAIN, 0.05))
    bench.registry.away = "MLflow is away"
    bench.servers.want([1])
    bench.until(lambda: bench.servers.troubles() == {"version 1": "MLflow is away"})
    assert bench.servers.state()[1].message == "MLflow is away"
    bench.registry.away = ""
    bench.ready(1)


def test_a_server_that_ran_before_starts_again_without_the_registry(bench: Bench) -> None:
    bench.ready(1)
    bench.registry.away = "MLflow is away"
    bench.process(1).kill()
    bench.until(lambda: bench.servers.state()[1].restarts == 1)
    bench.ready(1)


def test_a_model_directory_that_was_changed_is_not_started_from_and_fetched_anew(bench: Bench) -> None:
    bench.ready(1)
    digest = artifact.verify(bench.directory(1))
    (bench.directory(1) / artifact.MODEL).write_bytes(b"another model")
    bench.process(1).kill()
    bench.until(lambda: bench.servers.state()[1].restarts == 1)
    bench.ready(1)
    assert artifact.verify(bench.directory(1)) == digest


def test_the_next_supervisor_knows_at_once_who_serves_and_from_what(bench: Bench) -> None:
    bench.ready(1, 2)
    before, pids = bench.servers.state(), [bench.process(1).pid, bench.process(2).pid]
    bench.process(2).kill()
    bench.take_over()
    assert bench.servers.state() == {1: before[1]}, "ready before the first look, not after it"
    assert bench.process(1).pid == pids[0]
    environment = bench.process(1).environ()
    assert environment[PORT] == str(before[1].port)
    assert environment[MODEL] == artifact.verify(bench.directory(1))
    bench.registry.away = "MLflow is away"
    bench.process(1).kill()
    bench.until(lambda: bench.servers.state()[1].restarts == 1)
    bench.ready(1)


def test_trouble_with_one_version_does_not_keep_the_others_from_being_followed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ready(1)
    start = bench.processes.start

    def full(command: Command) -> bool:
        if command.name == "predictor-2":
            raise OSError(28, "No space left on device")
        return start(command)

    monkeypatch.setattr(bench.processes, "start", full)
    bench.servers.want([1, 2])
    bench.until(lambda: "version 2" in bench.servers.troubles())
    assert bench.servers.troubles()["version 2"] == "OSError: [Errno 28] No space left on device"
    assert bench.servers.state()[1].ready
    monkeypatch.undo()
    bench.ready(1, 2)
