"""A real Envoy under load while everything around it changes or dies: not one request may fail."""

from __future__ import annotations

import http.client
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from serinus.adapters import envoy as adapter
from serinus.adapters.envoy import EnvoyRouter
from serinus.errors import Fatal, Unavailable
from serinus.facts import Routing, Variant
from serinus.render.envoy import MAX_BODY
from services.local import programs
from tests.servers.envoy import Envoy, Predictors, answers, envoy, free_port, predictors, until
from tests.servers.load import PATH, Answer, Load, ask, load, plausible

LOOP = "flights"
FIGURES = logging.getLogger("figures")  # shown by --log-cli-level=INFO


def routing(*shares: tuple[int, int]) -> Routing:
    return Routing(tuple(Variant(version, weight) for version, weight in shares))


class Local:
    """One loop's Envoy, predictors and router."""

    def __init__(self, running: Envoy, servers: Predictors) -> None:
        self.envoy = running
        self.servers = servers
        self.router = self.follower()

    def follower(self) -> EnvoyRouter:
        """The router of a supervisor that has just started."""
        return EnvoyRouter(self.envoy.folder, self.envoy.admin, self.servers, timedelta(seconds=5))

    def weights(self) -> dict[int, int]:
        return {v.version: v.weight for v in self.router.observe(LOOP).variants}

    def reach(self, *shares: tuple[int, int]) -> None:
        """Apply until Envoy routes so, and nothing else is left."""

        def reached() -> bool:
            self.router.apply(LOOP, routing(*shares))
            return self.weights() == dict(shares)

        until(reached, f"routing {shares}")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with predictors() as servers, envoy(tmp_path / "envoy") as running:
        yield Local(running, servers)


def collect(got: Load, count: int) -> list[Answer]:
    """The next `count` answers to requests that are sent from now on."""
    now = time.monotonic()
    until(lambda: len(got.since(now)) >= count, f"{count} more answers", 60)
    return got.since(now)


def report(what: str, got: Load) -> None:
    FIGURES.info("%s: %d requests, %d failed", what, len(got.answers), len(got.failed()))
    assert not got.failed(), got.failed()[:5]


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
                return new.ready and f":{new.port}::" in http_get(f"{local.envoy.admin}/clusters")

            until(moved, f"version {version} moved")
            old.terminate()
            assert old.wait(timeout=10) == 0
            collect(got, 200)
    report("4 endpoint swaps", got)


def http_get(url: str) -> str:
    import httpx

    return httpx.get(url, trust_env=False).text


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
        until(lambda: _apply(local, (1, 80), (2, 20)) == {1: 0, 2: 100}, "the weight goes to the living")
        collect(got, 100)
        local.servers.start(1)
        until(lambda: _apply(local, (1, 80), (2, 20)) == {1: 80, 2: 20}, "the weight comes back")
        assert plausible(collect(got, 300), 2, 20)
        state = local.router.observe(LOOP).of(1)
        assert state is not None
        assert state.restarts == 1
    report("killed and started again", got)


def _apply(local: Local, *shares: tuple[int, int]) -> dict[int, int]:
    local.router.apply(LOOP, routing(*shares))
    return local.weights()


def test_with_nobody_ready_the_route_stays_as_it_is(local: Local) -> None:
    local.reach((1, 80), (2, 20))
    local.servers.kill(1)
    local.servers.kill(2)
    assert _apply(local, (1, 80), (2, 20)) == {1: 80, 2: 20}


def test_the_last_version_serves_until_its_only_successor_is_ready(local: Local) -> None:
    local.reach((1, 100))
    local.servers.broken.add(2)
    with load(local.envoy.port) as got:
        until(lambda: _apply(local, (2, 100)) == {1: 100, 2: 0}, "the successor is started")
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
        until(lambda: under_way(local, 1) > 4 < under_way(local, 2), "slow requests at both versions")
        until(lambda: _apply(local, (1, 100)) == {1: 100, 2: 0}, "the route is gone")
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


def under_way(local: Local, version: int) -> int:
    name = f"cluster.{LOOP}-v{version}.upstream_rq_active"
    return int(http_get(f"{local.envoy.admin}/stats?filter={name}$").split()[-1])


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


def test_a_second_envoy_cannot_take_half_of_the_requests(local: Local, tmp_path: Path) -> None:
    """Without this two Envoys would share the port, and the kernel would deal the connections out."""
    bootstrap = adapter.prepare(tmp_path / "second", local.envoy.port, free_port())
    arguments = adapter.command(programs.envoy(), bootstrap)
    second = subprocess.run(arguments, capture_output=True, timeout=20, check=False)
    assert second.returncode != 0
    assert b"Address already in use" in second.stderr


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


@pytest.mark.parametrize("status", [500, 503, 400, 404, 422])
def test_an_answer_of_the_predictor_is_passed_on_unchanged_and_asked_for_once(local: Local, status: int) -> None:
    local.reach((1, 100), (2, 0))
    connection = http.client.HTTPConnection("127.0.0.1", local.envoy.port)
    assert ask(connection, b'{"status": %d}' % status).status == status
    kept = connection.sock
    assert ask(connection).status == 200
    assert connection.sock is kept  # the connection was kept
    assert (local.servers.asked(1), local.servers.asked(2)) == (2, 0)
    connection.close()


def test_a_body_of_3_mb_is_answered_by_another_version_when_its_own_is_killed_over_it(local: Local) -> None:
    local.reach((1, 0), (2, 100))
    connection = http.client.HTTPConnection("127.0.0.1", local.envoy.port, timeout=10)
    connection.request("POST", PATH + "?0.5", b"x" * 3_000_000)
    until(lambda: local.servers.asked(2) == 1 == under_way(local, 2), "version 2 works on it")
    local.servers.kill(2)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b'{"version": 1, "bytes": 3000000}')
    assert response.getheader("x-serinus-version") == "1"
    connection.close()


def test_a_body_over_the_bound_is_refused_before_it_is_sent(local: Local) -> None:
    local.reach((1, 100))
    connection = http.client.HTTPConnection("127.0.0.1", local.envoy.port, timeout=10)
    connection.putrequest("POST", PATH)
    connection.putheader("content-length", str(MAX_BODY + 1))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert response.read() == b'{"error": "expected a body of at most 16777216 bytes"}'
    assert local.servers.asked(1) == 0
    connection.close()


def test_a_slow_version_costs_its_caller_no_more_than_the_timeout(local: Local) -> None:
    local.router = EnvoyRouter(local.envoy.folder, local.envoy.admin, local.servers, timedelta(milliseconds=300))
    local.reach((1, 100), (2, 0))
    connection = http.client.HTTPConnection("127.0.0.1", local.envoy.port, timeout=10)
    before = time.monotonic()
    assert ask(connection, b'{"seconds": 3}').status == 0  # 504 in plain text
    assert time.monotonic() - before < 2
    assert (local.servers.asked(1), local.servers.asked(2)) == (1, 0)
    connection.close()


def test_a_folder_of_another_loop_is_refused(local: Local) -> None:
    local.reach((1, 100))
    with pytest.raises(Fatal, match="expected clusters of other only"):
        local.router.apply("other", routing((1, 100)))
    assert local.weights() == {1: 100}
