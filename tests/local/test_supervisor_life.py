"""A supervisor's life: one a folder, its ports, and how it ends; what it leaves behind and what it never does."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serinus.adapters import kfp_local_folder
from services.local import supervisor
from tests.servers import loops
from tests.servers.loops import Loop

pytestmark = [pytest.mark.xdist_group("supervisor-life"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    with loops.furnished(tmp_path_factory.mktemp("life") / "loop") as made:
        yield made


@pytest.fixture
def running(loop: Loop) -> Loop:
    """The loop, up; tests may leave it down."""
    if loop.process is None or loop.process.poll() is not None:
        loop.up()
        loop.until(lambda: loop.status.champion is not None, "the first version serves")
    return loop


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(60)


def test_a_second_supervisor_on_the_same_folder_is_refused_and_the_first_does_not_notice(running: Loop) -> None:
    before, first = running.pids(), running.process
    assert first is not None
    second = running.serinus("up", "code/loop.yaml")
    assert second.returncode == 1
    assert f"another supervisor (pid {first.pid}, loop parcels) holds" in second.stderr
    assert "stop it with `serinus down --state" in second.stderr
    assert running.serinus("up", "code/loop.yaml", "--detach").returncode == 1
    assert running.pids() == before
    assert json.loads(running.serinus("status", "-o", "json").stdout)["up"] is True


def test_a_folder_belongs_to_one_loop(running: Loop) -> None:
    assert running.serinus("down").returncode == 0
    other = running.code / "other.yaml"
    other.write_text(running.file.read_text().replace("name: parcels", "name: letters"))
    refused = running.serinus("up", "code/other.yaml")
    assert refused.returncode == 1
    assert "belongs to loop 'parcels', got 'letters'" in refused.stderr
    assert running.family() == []


def test_ports_that_are_taken_are_replaced_said_and_kept_over_restarts(loop: Loop) -> None:
    if loop.process is not None:
        loop.serinus("down")
    wanted = asdict(loop.addresses)
    with socket.create_server(("127.0.0.1", wanted["envoy"])), socket.create_server(("127.0.0.1", wanted["mlflow"])):
        loop.up()
        chosen = asdict(loop.addresses)
        assert {name for name in wanted if chosen[name] != wanted[name]} == {"envoy", "mlflow"}
        told = f"http://127.0.0.1:{chosen['envoy']}/v1/models/parcels:predict", f"http://127.0.0.1:{chosen['mlflow']}\n"
        # It is ready a moment before it says where everything answers.
        loop.until(lambda: all(part in loop.log.read_text() for part in told), "its log has both addresses", 30)
        loop.serves(1)
        assert loop.predict(loop.rows()).status_code == 200
    assert loop.serinus("down").returncode == 0
    loop.up()
    assert asdict(loop.addresses) == chosen, "what was written down once is kept, although the first choice is free"


def test_a_port_that_was_asked_for_and_is_taken_is_refused(running: Loop) -> None:
    running.serinus("down")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = running.serinus("up", "code/loop.yaml", "--port", str(port))
    assert refused.returncode == 1
    assert f"port {port}, which was asked for, is taken by another program" in refused.stderr
    assert running.family() == []


def test_down_and_up_in_mid_rollout_goes_on_where_it_was(running: Loop) -> None:
    version = running.register()
    running.gets_traffic(version)
    before = running.status.rollout
    assert before is not None
    done = running.serinus("down")
    assert (done.returncode, running.family()) == (0, [])
    assert "goes on where it was" in done.stdout
    running.up()
    after = running.status.rollout
    assert after is not None
    assert (after.version, after.started, after.step) == (before.version, before.started, before.step)
    assert running.weights() == {1: 80, version: 20}
    assert running.predict(running.rows()).status_code == 200
    at = datetime.now(UTC)
    running.ask("rollback", reason="enough seen")
    event = running.happens("RolledBack", at)
    assert event.message == f"version {version} was rolled back: ann asked for it: enough seen"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_the_loop_and_leaves_no_process_behind(running: Loop, number: int) -> None:
    assert running.signal(number) == 0, running.story()
    assert running.family() == []
    assert supervisor.read_card(running.state) is None


def test_down_takes_a_run_back_and_the_next_up_asks_for_it_again(running: Loop) -> None:
    running.ask("run")
    run = running.status.run
    assert run is not None
    folder = running.state / "runs" / run.key
    running.until(lambda: kfp_local_folder.step(folder) != "", "the run has begun", 60)
    assert len(kfp_local_folder.members(folder)) >= 1
    assert running.serinus("down").returncode == 0
    assert running.family() == []
    running.up()
    event = running.happens("RunSucceeded", run.requested, 240)
    made = [v.number for v in running.registry.versions(running.name) if v.trigger == run.key]
    assert made == [event.version]
    running.ask("rollback")
    assert [e for e in running.events("RunFailed") if e.at >= run.requested] == []


def test_down_ends_what_a_killed_supervisor_left_behind(running: Loop) -> None:
    running.kill()
    assert {"envoy", "mlflow", "prometheus", "predictor-1"} <= running.pids().keys()
    done = running.serinus("down")
    assert done.returncode == 0
    assert "left behind were ended" in done.stdout
    assert running.family() == []


def test_a_supervisor_that_is_told_to_stop_while_it_starts_leaves_no_process_behind(running: Loop) -> None:
    running.serinus("down")
    process = running.begin()
    running.until(lambda: "mlflow" in running.pids(), "MLflow starts", 60)
    process.send_signal(signal.SIGTERM)
    assert ended(process) in (0, 1), running.story()
    assert running.family() == []


def test_a_program_that_is_missing_is_named_and_nothing_stays_behind(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    if loop.process is not None:
        loop.serinus("down")
    monkeypatch.setenv("SERINUS_PROMETHEUS", "/nowhere/prometheus")
    failed = loop.serinus("up", "code/loop.yaml")
    assert failed.returncode == 1
    assert "expected a Prometheus binary at /nowhere/prometheus, found none" in failed.stderr
    assert loop.family() == []


def test_a_program_that_cannot_start_is_told_with_its_last_words(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if loop.process is not None:
        loop.serinus("down")
    broken = tmp_path / "prometheus"
    broken.write_text("#!/bin/sh\necho no room for my data >&2\nexit 7\n")
    broken.chmod(0o755)
    monkeypatch.setenv("SERINUS_PROMETHEUS", str(broken))
    failed = loop.serinus("up", "code/loop.yaml")
    assert failed.returncode == 1
    assert "prometheus ended while it started (exit code 7: no room for my data)" in failed.stderr
    assert loop.family() == []
    assert supervisor.read_card(loop.state) is None
