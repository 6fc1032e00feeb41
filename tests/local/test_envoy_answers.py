"""What callers get of a real Envoy, and what it does not let happen."""

from __future__ import annotations

import http.client
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from serinus.adapters import envoy as adapter
from serinus.adapters.envoy import EnvoyRouter
from serinus.errors import Fatal, Unavailable
from serinus.render.envoy import MAX_BODY
from services.local import programs
from tests.servers.envoy import envoy, free_port, predictors, until
from tests.servers.envoy_loop import LOOP, Local, routing
from tests.servers.load import PATH, ask


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with predictors() as servers, envoy(tmp_path / "envoy") as running:
        yield Local(running, servers)


def test_a_second_envoy_cannot_take_half_of_the_requests(local: Local, tmp_path: Path) -> None:
    """Without this two Envoys would share the port, and the kernel would deal the connections out."""
    bootstrap = adapter.prepare(tmp_path / "second", LOOP, local.envoy.port, free_port())
    arguments = adapter.command(programs.envoy(), bootstrap)
    second = subprocess.run(arguments, capture_output=True, timeout=20, check=False)
    assert second.returncode != 0
    assert b"Address already in use" in second.stderr


def test_before_the_first_version_callers_are_told_to_come_again(tmp_path: Path) -> None:
    with envoy(tmp_path / "envoy") as running:
        answer = httpx.post(f"http://127.0.0.1:{running.port}{PATH}", json={"instances": []}, trust_env=False)
    assert answer.status_code == 503
    assert f"no version of {LOOP} is ready" in answer.text


def test_a_hanging_envoy_holds_nobody_up_for_a_second(local: Local) -> None:
    local.reach((1, 100))
    assert local.envoy.process is not None
    local.envoy.process.send_signal(signal.SIGSTOP)
    before = time.monotonic()
    with pytest.raises(Unavailable, match="admin"):
        local.router.apply(LOOP, routing((1, 50), (2, 50)))
    assert time.monotonic() - before < 1
    local.envoy.process.send_signal(signal.SIGCONT)
    local.reach((1, 50), (2, 50))


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
    until(lambda: local.servers.asked(2) == 1 == local.under_way(2), "version 2 works on it")
    local.servers.kill(2)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b'{"version": 1, "bytes": 3000000}')
    assert response.getheader("x-serinus-version") == "1"
    connection.close()


def test_a_version_is_ready_once_envoy_can_send_to_it(local: Local) -> None:
    """A test of ours once killed version 2 when version 1 was up, and Envoy did not know of it yet."""

    def ready() -> dict[int, bool]:
        return {v.version: v.ready for v in local.router.observe(LOOP).variants}

    local.servers.broken.add(1)
    until(lambda: local.apply_once((1, 0), (2, 100)) == {1: 0, 2: 100} and ready()[2], "version 2 serves")
    local.servers.broken.clear()
    until(lambda: local.servers.state()[1].ready, "version 1 is up")
    assert ready() == {1: False, 2: True}
    local.apply_once((1, 0), (2, 100))
    assert ready() == {1: True, 2: True}


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
