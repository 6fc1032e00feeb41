"""kill -9 of everything there is, one after the other, in the middle of a rollout and under load."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from serinus import loading
from serinus.adapters import kfp_local_folder
from serinus.adapters.audit_file import FileAudit
from serinus.decide.audit import verify
from serinus.decide.edits import digest
from services.local import mlflow_server
from tests.servers import loops
from tests.servers.callers import Calls, calls
from tests.servers.loops import Loop

pytestmark = [pytest.mark.xdist_group("supervisor-kills"), pytest.mark.timeout(400)]
FIGURES = logging.getLogger("figures")  # shown by --log-cli-level=INFO


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    rollout = {**loops.FAST["rollout"], "minRequests": 50}  # long enough to be in the middle of
    with loops.furnished(tmp_path_factory.mktemp("kills") / "loop", rollout=rollout) as running:
        running.up()
        running.serves(1)
        yield running


@pytest.fixture(scope="module")
def traffic(loop: Loop) -> Iterator[Calls]:
    """Requests all the time, over all tests of this file."""
    with calls(loop, loop.rows()) as got:
        yield got
    FIGURES.info("requests over all kills: %d, failed: %d", len(got.answers), len(got.failed()))


@pytest.fixture
def canary(loop: Loop, traffic: Calls) -> int:
    """A version in the middle of its rollout."""
    version = loop.register()
    loop.gets_traffic(version)
    before = time.monotonic()
    loop.until(lambda: version in traffic.by_version(before), f"version {version} answers", 20)
    return version


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def lost(traffic: Calls, since: float, until: float = float("inf")) -> list[str]:
    return [
        f"{a.status} {a.problem}" for a in traffic.since(since) if a.sent < until and (a.status != 200 or a.problem)
    ]


@pytest.mark.parametrize(("name", "ready"), [("prometheus", "/-/ready"), ("mlflow", mlflow_server.READY)])
def test_a_rollout_outlives_prometheus_and_mlflow_and_no_request_is_lost(
    loop: Loop, traffic: Calls, canary: int, name: str, ready: str
) -> None:
    began, before = time.monotonic(), loop.pids()[name]
    loop.kill(name)
    loop.serves(canary)
    loop.until(lambda: answers(loop.addresses.url(name) + ready), f"{name} answers again", 60)
    assert loop.pids()[name] != before
    assert lost(traffic, began) == []


def test_envoy_comes_back_with_the_same_shares_and_the_rollout_goes_on(loop: Loop, traffic: Calls, canary: int) -> None:
    shares = loop.weights()
    loop.kill("envoy")
    dead = time.monotonic()  # not before: finding it takes a while on a busy machine, and it answers until then
    loop.until(lambda: any(a.status == 200 for a in traffic.since(dead)), "Envoy routes again", 30)
    back = min(a.sent for a in traffic.since(dead) if a.status == 200)
    FIGURES.info("Envoy killed: %.2f s without answers", back - dead)
    assert set(traffic.by_version(back)) <= set(shares)
    loop.serves(canary)
    assert lost(traffic, back + 0.1) == []


def test_a_canary_that_dies_is_rolled_back_with_its_reason_and_no_request_is_lost(
    loop: Loop, traffic: Calls, canary: int
) -> None:
    champion, began, at = loop.status.champion, time.monotonic(), datetime.now(UTC)
    loop.kill(f"predictor-{canary}")
    event = loop.happens("RolledBack", at)
    assert "the canary's server crashed: 1 restarts since it got traffic" in event.message
    assert "SIGKILL" in event.message
    assert loop.status.champion == champion
    loop.until(lambda: f"predictor-{canary}" not in loop.pids(), "its process is gone")
    assert lost(traffic, began) == []


def test_a_stable_server_that_dies_is_started_again_and_no_request_is_lost(
    loop: Loop, traffic: Calls, canary: int
) -> None:
    stable, began = loop.status.champion, time.monotonic()
    before = loop.pids()[f"predictor-{stable}"]
    loop.kill(f"predictor-{stable}")
    loop.until(lambda: loop.pids().get(f"predictor-{stable}", before) != before, "it was started again", 20)
    loop.serves(canary)
    assert lost(traffic, began) == []
    assert f"predictor-{stable}" in loop.pids(), "the last champion is kept ready"


def test_a_second_supervisor_adopts_what_a_killed_one_left_and_goes_on_where_it_was(
    loop: Loop, traffic: Calls, canary: int
) -> None:
    began, before = time.monotonic(), loop.pids()
    step, started = loop.status.rollout, loop.status.rollout and loop.status.rollout.started
    assert step is not None
    loop.kill()
    while_gone = time.monotonic()
    loop.until(lambda: len(traffic.since(while_gone)) > 60, "requests while nobody supervises", 20)
    loop.up()
    assert loop.pids() == before
    rollout = loop.status.rollout
    if rollout is not None:  # else it was promoted before we could look
        assert (rollout.version, rollout.started) == (canary, started)
        assert rollout.step >= step.step
    loop.serves(canary)
    assert lost(traffic, began) == []
    assert [e.version for e in loop.events("RolledBack", "Promoted") if e.version == canary] == [canary]


def test_a_run_in_flight_when_the_supervisor_was_killed_gives_exactly_one_version(loop: Loop, traffic: Calls) -> None:
    began, champion = time.monotonic(), loop.status.champion
    loop.ask("run")
    run = loop.status.run
    assert run is not None
    folder = loop.state / "runs" / run.key
    loop.until(lambda: kfp_local_folder.step(folder) not in ("", "ingest"), "the run has begun", 60)
    loop.kill()
    loop.up()
    event = loop.happens("RunSucceeded", run.requested, 240)
    made = [version.number for version in loop.registry.versions(loop.name) if version.trigger == run.key]
    assert made == [event.version]
    assert len(list((loop.state / "runs").glob("*/run.json"))) == 1
    loop.serves(made[0])
    assert loop.status.previous == champion
    assert lost(traffic, began) == []


def test_an_edit_that_was_made_while_nobody_supervised_is_told_once_with_what_differs(loop: Loop) -> None:
    before = digest(loading.read(loop.file).for_run())
    loop.kill()
    loop.edit(validation={"metric": "roc_auc", "margin": 0.03})
    after = digest(loading.read(loop.file).for_run())
    loop.up()
    loop.until(lambda: bool(loop.events("SpecChanged")), "the edit is told", 30)
    loop.kill()
    loop.up()
    (event,) = loop.events("SpecChanged")
    assert f"digest {before} to {after}" in event.message
    assert event.message.endswith("spec.validation.margin the default to 0.03")
    assert event.by == f"file owner {loop.file.owner()}"


def test_the_audit_trail_has_everything_once_whoever_was_killed(loop: Loop) -> None:
    trail = FileAudit(loop.state / "audit.jsonl")

    def told() -> list[tuple[object, ...]]:
        return [(e.deed.at, e.deed.kind, e.deed.message) for e in trail.entries(limit=10_000)]

    loop.until(lambda: told() == [(e.at, e.kind, e.message) for e in loop.events()], "the trail has caught up", 30)
    assert verify(trail.entries(limit=10_000)) is None
    kinds = [entry.deed.kind for entry in trail.entries(limit=10_000)]
    assert "Promoted" in kinds
    assert kinds.count("SpecChanged") == 1
    exported = loop.serinus("audit", "export")
    assert [json.loads(line)["deed"]["kind"] for line in exported.stdout.splitlines()] == kinds
    assert loop.serinus("audit", "verify").returncode == 0
