"""Two replicas, one active: takeover on death, on SIGTERM, and on an API server that cannot be reached."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serinus.adapters.kube import LEASES, MODEL_LOOPS
from services.operator import election
from services.operator.__main__ import LOST
from services.operator.election import Election
from services.platform import Platform
from tests.servers.kube_ledgers import nowhere
from tests.servers.kubernetes import ApiServer, api_server
from tests.servers.operators import Stage, stage
from tests.servers.prometheus import until

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def lease(server: ApiServer, request: pytest.FixtureRequest) -> str:
    """A namespace for this test's lease."""
    return server.namespace(f"lease-{abs(hash(request.node.name)) % 10**8}")


@pytest.fixture
def two(server: ApiServer, lease: str, tmp_path: Path) -> Iterator[Stage]:
    platform = Platform(NOWHERE, NOWHERE, NOWHERE, watch_namespace=lease, pod_namespace=lease)
    with stage(server, platform, tmp_path) as made:
        yield made


def test_of_two_replicas_one_drives_and_the_other_is_ready_and_says_so(two: Stage) -> None:
    first, second = two.leading(), two.start()
    until(lambda: "standing by" in second.get("/readyz").text, "the second stands by")
    until(lambda: second.get("/readyz").text != "standing by, nobody leads\n", "it has seen the lease")
    assert first.get("/readyz").text == "leading\n"
    assert second.get("/readyz").status_code == 200
    assert second.get("/healthz").status_code == 200
    assert first.metric("serinus_operator_leader") == 1
    assert second.metric("serinus_operator_leader") == 0


def test_a_killed_leader_is_followed_within_the_lease_and_two_seconds(two: Stage) -> None:
    first, second = two.leading(), two.start()
    until(lambda: "nobody" not in second.get("/readyz").text, "the second has seen the lease")
    first.kill()
    began = time.monotonic()
    until(lambda: second.leads, "the second leads", 40)
    took = time.monotonic() - began
    print(f"takeover after kill -9: {took:.1f} s")  # noqa: T201
    assert took < election.DURATION + 2 * election.RETRY + 3  # a busy machine


def test_a_leader_that_is_asked_to_end_is_followed_at_once(two: Stage) -> None:
    first, second = two.leading(), two.start()
    until(lambda: "nobody" not in second.get("/readyz").text, "the second has seen the lease")
    began = time.monotonic()
    assert first.end() == 0
    until(lambda: second.leads, "the second leads")
    took = time.monotonic() - began
    print(f"takeover after SIGTERM: {took:.1f} s")  # noqa: T201
    assert took < 6


def test_a_standby_ends_at_once_when_it_is_asked_to(two: Stage) -> None:
    two.leading()
    assert two.start().end(10) == 0


def test_a_replica_whose_lease_somebody_else_took_ends_itself(two: Stage) -> None:
    operator = two.leading()
    taken = {"holderIdentity": "a thief", "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    two.kube.patch(LEASES, two.platform.pod_namespace, election.NAME, {"spec": taken})
    assert operator.process.wait(20) == LOST
    assert "a thief holds the lease" in operator.said


def test_a_leader_without_an_api_server_ends_itself_before_its_lease_does(tmp_path: Path) -> None:
    with api_server(tmp_path / "server") as server:
        server.namespace("default")
        platform = Platform(NOWHERE, NOWHERE, NOWHERE, watch_namespace="default", pod_namespace="default")
        with stage(server, platform, tmp_path) as made:
            operator = made.leading()
            made.until(lambda: "authentication has finished" in operator.said, "its watches begin")
            server.stop(kill=True)
            began = time.monotonic()
            # Whoever notices first: the watches, if they were still beginning, or the lease.
            reasons = {1: "the watches ended by themselves", LOST: "could not be renewed"}
            assert reasons[operator.process.wait(30)] in operator.said
            assert time.monotonic() - began < election.DURATION + 3  # and a busy machine
            server.start()  # the stage is cleared by it


def test_a_silent_holder_keeps_the_lease_for_its_duration_by_the_observers_clock(server: ApiServer, lease: str) -> None:
    first, second = Election(server.kube, lease, "first"), Election(server.kube, lease, "second")
    assert first.attempt(0)
    assert not second.attempt(1000.0)
    assert not second.attempt(1000.0 + election.DURATION - 0.1)
    assert second.attempt(1000.0 + election.DURATION)
    assert not first.attempt(0)
    assert not first.leading


def test_a_holder_that_renews_is_never_followed(server: ApiServer, lease: str) -> None:
    first, second = Election(server.kube, lease, "first"), Election(server.kube, lease, "second")
    for turn in range(5):
        assert first.attempt(turn * 10.0)
        assert not second.attempt(turn * 10.0)


def test_a_lease_that_was_given_up_is_free_at_once(server: ApiServer, lease: str) -> None:
    first, second = Election(server.kube, lease, "first"), Election(server.kube, lease, "second")
    assert first.attempt(0)
    assert not second.attempt(0)
    first.release()
    assert second.attempt(0.1)
    assert server.kube.get(LEASES, lease, election.NAME)["spec"]["leaseTransitions"] == 1  # type: ignore[index]


def test_a_candidate_waits_while_the_api_server_is_away_and_ends_when_asked_to() -> None:
    stop = threading.Event()
    candidate = Election(nowhere(), "default", "first")
    waiting = threading.Thread(target=candidate.acquire, args=(stop,))
    waiting.start()
    stop.set()
    waiting.join(10)
    assert not waiting.is_alive()
    assert not candidate.leading


def test_a_cluster_without_our_kinds_is_said_so(tmp_path: Path) -> None:
    with api_server(tmp_path / "server") as server:
        platform = Platform(NOWHERE, NOWHERE, NOWHERE, pod_namespace="default")
        bare = Stage(server, platform, tmp_path)
        operator = bare.start()
        assert operator.process.wait(30) == 1
        assert f"expected the cluster to know {MODEL_LOOPS.kind}" in operator.said
