"""A real Envoy under load while everything around it changes or dies: not one request may fail."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serinus.adapters import envoy as adapter
from serinus.errors import Unavailable
from serinus.render import envoy as render
from services.local import programs
from tests.servers.envoy import answers, envoy, predictors, until
from tests.servers.envoy_loop import LOOP, Local, collect, report, routing
from tests.servers.load import Answer, ask, load, plausible


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with predictors() as servers, envoy(tmp_path / "envoy") as running:
        yield Local(running, servers)


def test_twenty_changes_of_weight_lose_nothing_and_split_as_told(local: Local) -> None:
    local.reach((1, 100))
    with load(local.envoy.port) as got:
        for weight in [5, 10, 25, 50, 75, 90, 100, 60, 40, 20, 1, 99, 33, 67, 50, 5, 25, 50, 100, 0]:
            local.reach((1, 100 - weight), (2, weight))
            answers = collect(got, 200)
            assert plausible(answers, 2, weight), (weight, [a.version for a in answers].count(2), len(answers))
    report("20 changes of weight", got)


def test_a_predictor_replaced_on_another_port_loses_nothing(local: Local) -> None:
    local.reach((1, 50), (2, 50))
    with load(local.envoy.port) as got:
        for version in (1, 2, 1, 2):
            old, _ = local.servers.processes[version]
            local.servers.start(version)

            def moved(version: int = version) -> bool:
                local.router.apply(LOOP, routing((1, 50), (2, 50)))
                new = local.servers.state()[version]
                return new.ready and f":{new.port}::" in local.admin("/clusters")

            until(moved, f"version {version} moved")
            old.terminate()
            assert old.wait(timeout=10) == 0
            collect(got, 200)
    report("4 endpoint swaps", got)


@pytest.mark.parametrize(("dies", "lives"), [(2, 1), (1, 2)])
def test_a_version_killed_at_half_the_traffic_loses_nothing_though_nobody_takes_its_weight_away(
    local: Local, dies: int, lives: int
) -> None:
    local.reach((1, 50), (2, 50))
    with load(local.envoy.port, callers=16) as got:
        collect(got, 500)
        local.servers.kill(dies)
        answers = collect(got, 1500)
        assert local.weights() == {1: 50, 2: 50}  # nobody applied anything
    assert {a.version for a in answers} == {lives}
    report(f"version {dies} killed at 50 %", got)


def test_a_killed_version_is_brought_back_with_its_weight(local: Local) -> None:
    local.reach((1, 80), (2, 20))
    with load(local.envoy.port) as got:
        local.servers.kill(1)
        until(lambda: local.apply_once((1, 80), (2, 20)) == {1: 0, 2: 100}, "the weight goes to the living")
        collect(got, 100)
        local.servers.start(1)
        until(lambda: local.apply_once((1, 80), (2, 20)) == {1: 80, 2: 20}, "the weight comes back")
        assert plausible(collect(got, 300), 2, 20)
        state = local.router.observe(LOOP).of(1)
        assert state is not None
        assert state.restarts == 1
    report("killed and started again", got)


def test_with_nobody_ready_the_route_stays_as_it_is(local: Local) -> None:
    local.reach((1, 80), (2, 20))
    local.servers.kill(1)
    local.servers.kill(2)
    assert local.apply_once((1, 80), (2, 20)) == {1: 80, 2: 20}


def test_the_last_version_serves_until_its_only_successor_is_ready(local: Local) -> None:
    local.reach((1, 100))
    local.servers.broken.add(2)
    with load(local.envoy.port) as got:
        until(lambda: local.apply_once((2, 100)) == {1: 100, 2: 0}, "the successor is started")
        assert {a.version for a in collect(got, 200)} == {1}
        local.servers.broken.clear()
        local.reach((2, 100))
        assert {a.version for a in collect(got, 200)} == {2}
    report("replaced at once", got)


def test_removal_lets_the_requests_under_way_finish_before_the_process_is_asked_to_end(local: Local) -> None:
    local.reach((1, 50), (2, 50))
    process, _ = local.servers.processes[2]

    def patient(_: int) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", local.envoy.port, timeout=10)
        answer = ask(connection, b'{"seconds": 2}')
        connection.close()
        return answer

    with load(local.envoy.port) as got, ThreadPoolExecutor(24) as pool:
        slow = [pool.submit(patient, i) for i in range(24)]
        until(lambda: local.under_way(1) > 4 < local.under_way(2), "slow requests at both versions")
        until(lambda: local.apply_once((1, 100)) == {1: 100, 2: 0}, "the route is gone")
        assert process.poll() is None
        local.reach((1, 100))
        done = [f.result() for f in slow if f.done()]
        assert process.wait(timeout=10) == 0
        collect(got, 200)
    assert [(a.status, a.problem) for a in done if a.version == 2] == [
        (200, "") for f in slow if f.result().version == 2
    ]
    got.answers.extend(f.result() for f in slow)
    report("removal", got)


def test_envoy_outlives_a_killed_parent(local: Local, tmp_path: Path) -> None:
    local.reach((1, 50), (2, 50))
    local.envoy.stop()
    arguments = adapter.command(programs.envoy(), local.envoy.folder / "bootstrap.json")
    parent = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); p.wait()"
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen([sys.executable, "-c", parent, *arguments], stdout=subprocess.PIPE, stderr=log) as supervisor,
    ):
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        try:
            until(lambda: answers(local.envoy.admin_port, "/ready"), "Envoy is ready")
            with load(local.envoy.port) as got:
                collect(got, 200)
                supervisor.kill()
                supervisor.wait()
                collect(got, 1000)
            report("Envoy's parent killed", got)
            local.reach((1, 100))  # and the next supervisor goes on with it
        finally:
            os.kill(pid, signal.SIGKILL)


def test_a_killed_envoy_comes_back_with_the_same_routing_by_its_files(local: Local) -> None:
    local.reach((1, 70), (2, 30))
    local.envoy.stop()
    with pytest.raises(Unavailable, match="admin"):
        local.router.observe(LOOP)
    with pytest.raises(Unavailable, match="admin"):
        local.router.apply(LOOP, routing((1, 70), (2, 30)))
    local.envoy.start()
    assert local.weights() == {1: 70, 2: 30}
    with load(local.envoy.port) as got:
        assert plausible(collect(got, 400), 2, 30)
    report("Envoy restarted", got)


def test_no_route_names_a_cluster_that_envoy_has_not_taken_up(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    local.reach((1, 100))
    with monkeypatch.context() as patch, load(local.envoy.port) as got:
        patch.setattr(render, "clusters", lambda *_: {"version_info": "refused", "resources": [{"name": "no type"}]})
        local.servers.want([1, 2])
        until(lambda: local.servers.state()[2].ready, "version 2 is ready")
        with pytest.raises(Unavailable, match="its log says why"):
            local.router.apply(LOOP, routing((1, 50), (2, 50)))
        assert local.weights() == {1: 100, 2: 0}
        collect(got, 100)
    report("clusters refused", got)


class Killed(BaseException):
    """The supervisor ends here."""


def test_a_supervisor_killed_at_any_step_is_followed_by_one_that_goes_on(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One version is swapped for another, over and over; the n-th time the n-th step is the last of its supervisor."""
    left = [0]

    def last(step: Callable[..., object]) -> Callable[..., object]:
        def until_killed(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return step(*args, **kwargs)

        return until_killed

    local.reach((1, 100))
    monkeypatch.setattr(adapter, "_LINGER", 0.05)
    monkeypatch.setattr(Path, "replace", last(Path.replace))
    monkeypatch.setattr(Path, "unlink", last(Path.unlink))
    monkeypatch.setattr(local.servers, "start", last(local.servers.start))
    with load(local.envoy.port) as got:
        for deaths in range(100):
            left[0] = deaths + 1
            try:
                local.reach((deaths % 2 + 2, 100))
            except Killed:
                local.router = local.follower()
                local.reach((deaths % 2 + 2, 100))
            else:
                break  # there are not so many steps: every one had its turn
    assert deaths >= 7
    report(f"supervisor killed at each of {deaths} steps", got)
