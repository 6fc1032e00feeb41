"""What people and mishaps do to a rollout: approval, edits, counts that are missing, models that were tampered with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from serinus import artifact
from tests.servers import loops
from tests.servers.callers import calls
from tests.servers.loops import Loop

pytestmark = [pytest.mark.xdist_group("supervisor-rollouts"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    with loops.furnished(tmp_path_factory.mktemp("rollouts") / "loop") as running:
        running.up()
        running.serves(1)
        yield running


@pytest.fixture
def loop(shared: Loop) -> Iterator[Loop]:
    """The shared loop, with nothing on its way; it gets its spec back afterwards."""
    sound = shared.spec
    yield shared
    shared.write(sound)
    if shared.status.rollout is not None:
        shared.ask("rollback")


def spoil(file: Path) -> None:
    """Change one byte in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def outcomes(loop: Loop) -> set[str]:
    status = loop.status
    return {verdict.outcome for verdict in status.rollout.verdicts} if status.rollout is not None else set()


def rollout(**changes: object) -> dict[str, object]:
    return {**loops.FAST["rollout"], **changes}


def test_a_version_waits_for_its_approval_and_is_let_in_by_a_person(loop: Loop) -> None:
    loop.edit(approval="required")
    at = datetime.now(UTC)
    version = loop.register()
    loop.happens("AwaitingApproval", at)
    assert (loop.status.waiting, loop.status.rollout) == (version, None)
    assert f"predictor-{version}" not in loop.pids()
    loop.ask("approve", version, "looks good")
    loop.gets_traffic(version)
    with calls(loop, loop.rows()) as got:
        loop.serves(version)
    assert got.failed() == []
    assert loop.registry.find(loop.name, "champion") == loop.registry.versions(loop.name)[-1]
    (approved,) = [event for event in loop.events("Approved") if event.at >= at]
    assert approved.message == f"ann let version {version} in: looks good"


def test_a_version_that_a_person_rejects_never_runs(loop: Loop) -> None:
    loop.edit(approval="required")
    at, champion = datetime.now(UTC), loop.status.champion
    version = loop.register()
    loop.happens("AwaitingApproval", at)
    loop.ask("reject", version, "trained on a Friday")
    event = loop.happens("Rejected", at)
    assert event.message == f"version {version} was not let in: ann rejected it: trained on a Friday"
    assert loop.status.champion == champion
    assert not (loop.state / "logs" / f"predictor-{version}.log").exists()


def test_an_edit_in_mid_rollout_counts_from_the_next_look_and_a_broken_one_is_said_once(loop: Loop) -> None:
    version = loop.register()
    loop.gets_traffic(version)
    stable, before = loop.status.champion, loop.pids()
    assert stable is not None
    loop.until(lambda: loop.weights() == {stable: 80, version: 20}, "the first step of the file as it was")
    loop.edit(rollout=rollout(steps=[35, 60]))
    loop.until(lambda: loop.weights() == {stable: 65, version: 35}, "the first step of the edited file", 10)

    at, sound = datetime.now(UTC), loop.file.read_text()
    loop.write_text(sound.replace("steps:", "stepps:"))
    loop.until(lambda: "loop.yaml" in loop.status.notices, "the broken edit is said", 10)
    looked = loop.status.rollout
    loop.until(lambda: loop.status.rollout != looked, "the loop looks on", 10)
    said = [event.message for event in loop.events("CannotSee") if event.at >= at]
    assert len(said) == 1
    assert "loop.yaml: it is not valid, the last good one counts: " in said[0]
    assert "'steps'" in said[0], "the nearest right key"
    assert loop.weights() == {stable: 65, version: 35}
    loop.write_text(sound)
    loop.until(lambda: "loop.yaml" not in loop.status.notices, "the file is sound again", 10)
    assert loop.pids() == before, "no edit swapped a server"


@pytest.mark.parametrize("choice", ["rollback", "hold"])
def test_without_prometheus_a_rollout_holds_and_past_the_timeout_does_what_the_file_says(
    loop: Loop, choice: str
) -> None:
    at, stable = datetime.now(UTC), loop.status.champion
    version = loop.register()
    with calls(loop, loop.rows(), rate=10) as got:
        loop.gets_traffic(version)
        loop.edit(rollout=rollout(stepTimeout="8s", onTimeout=choice))
        silent = psutil.Process(loop.pids()["prometheus"])
        silent.suspend()  # it lives and listens, and never answers; a dead one is back in a moment
        try:
            loop.until(lambda: "metrics" in loop.status.notices, "it is said", 30)
            assert "did not answer within" in loop.status.notices["metrics"]
            held = loop.status.rollout
            assert held is not None
            assert (held.version, held.step) == (version, 0)
            if choice == "rollback":
                event = loop.happens("RolledBack", at, 40)
                assert "step 1 of 2 (20 %) did not convince within 8s: could not look" in event.message
                assert loop.status.champion == stable
            else:
                loop.until(lambda: outcomes(loop) == {"error"}, "the verdict says that nobody could look", 40)
                loop.until(lambda: (datetime.now(UTC) - held.step_started).total_seconds() > 15, "the timeout", 40)
                still = loop.status.rollout
                assert still is not None
                assert (still.version, still.step) == (version, 0)
        finally:
            silent.resume()
        loop.until(lambda: "metrics" not in loop.status.notices, "it answers again", 30)
    if choice == "hold":
        with calls(loop, loop.rows()) as got_again:
            loop.serves(version)
        assert got_again.failed() == []
    assert got.failed() == []


def test_a_model_that_was_changed_in_the_store_is_never_served_and_the_reason_is_told(loop: Loop) -> None:
    loop.edit(approval="required", rollout=rollout(stepTimeout="6s"))
    at, champion = datetime.now(UTC), loop.status.champion
    version = loop.register()
    loop.happens("AwaitingApproval", at)
    kept = max((loop.state / "mlflow" / "artifacts").glob("**/model/model.skops"), key=lambda f: f.stat().st_mtime)
    spoil(kept)
    with calls(loop, loop.rows(), rate=20) as got:
        loop.ask("approve", version)
        loop.until(lambda: f"version {version}" in loop.status.notices, "the status says why it does not start", 30)
        assert "expected sha256" in loop.status.notices[f"version {version}"]
        event = loop.happens("RolledBack", at, 40)
    assert "not ready within 6s" in event.message
    assert "model.skops: expected sha256" in event.message
    assert loop.status.champion == champion
    assert set(got.by_version()) == {champion}
    assert got.failed() == []
    assert not (loop.state / "logs" / f"predictor-{version}.log").exists(), "no process was ever given that model"
    loop.until(lambda: f"version {version}" not in loop.status.notices, "the trouble went with the version", 10)


def test_a_fetched_model_that_was_changed_is_fetched_anew_before_it_serves(loop: Loop) -> None:
    champion = loop.status.champion
    assert champion is not None
    directory = loop.state / "models" / loop.name / str(champion)
    digest, answers = artifact.verify(directory), loop.predict(loop.rows()).json()["predictions"]
    spoil(directory / artifact.MODEL)
    old = loop.pids()[f"predictor-{champion}"]
    loop.kill(f"predictor-{champion}")
    loop.until(lambda: loop.pids().get(f"predictor-{champion}", old) != old, "it is started again", 30)

    def serves() -> bool:  # meanwhile nobody answers, or the version before it does
        answer = loop.predict(loop.rows())
        return answer.status_code == httpx.codes.OK and answer.json()["model_version"] == str(champion)

    loop.until(serves, "it serves again", 60)
    assert artifact.verify(directory) == digest
    assert loop.predict(loop.rows()).json()["predictions"] == answers


def test_a_canary_that_gets_no_traffic_is_never_good(loop: Loop) -> None:
    at, champion = datetime.now(UTC), loop.status.champion
    loop.gets_traffic(loop.register())
    loop.edit(rollout=rollout(stepTimeout="4s"))
    event = loop.happens("RolledBack", at)
    assert "did not convince within 4s: the canary needs more traffic: 0 of at least 20 answers" in event.message
    assert loop.status.champion == champion


def test_a_ledger_that_cannot_be_read_stops_decisions_and_not_the_service(loop: Loop) -> None:
    file = loop.state / "ledger" / loop.name / "status.json"
    sound, champion = file.read_bytes(), loop.status.champion
    before = loop.log.read_text().count("Trouble")
    file.write_bytes(b"not a status")
    try:
        loop.until(lambda: loop.log.read_text().count("Trouble") > before, "it is said", 20)
        with calls(loop, loop.rows(), rate=20) as got:
            loop.until(lambda: len(got.answers) >= 40, "requests meanwhile", 20)
    finally:
        file.write_bytes(sound)
    assert got.failed() == []
    assert loop.log.read_text().count("Trouble") == before + 1, "once, not at every look"
    loop.gets_traffic(loop.register())
    assert loop.status.champion == champion
