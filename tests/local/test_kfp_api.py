"""The official client against a stand-in for Kubeflow's backend: everything that a network and other people can do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serinus.adapters import kfp_client, kfp_runs
from serinus.adapters import kfp_local_folder as folder
from serinus.adapters.kfp_api import KfpRunner
from serinus.adapters.kfp_client import KfpClient
from serinus.errors import Fatal, Unavailable
from serinus.facts import RunRequest, RunState
from serinus.render.pipeline import content_hash
from tests.servers import patience
from tests.standins.kfp.backend import Backend
from tests.standins.kfp.server import Server, serving

REQUESTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MLFLOW = "http://127.0.0.1:9"

# What the operator or the drift job does, in a process of its own: wait for the start, submit, say what counts.
SUBMIT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from serinus.adapters.kfp_api import KfpRunner
from serinus.adapters.kfp_client import connect
from serinus.facts import RunRequest
url, pipeline, code, key = sys.argv[1:]
connect(url)
runner = KfpRunner(url, Path(pipeline).read_text(), "http://127.0.0.1:9", folder=code)
print("ready", flush=True)
sys.stdin.readline()
print(runner.submit(RunRequest(key, "flights", "drift", datetime(2026, 1, 2, tzinfo=UTC), "{}")).key, flush=True)
"""


@dataclass
class Place:
    folder: Path
    server: Server
    words: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # what MLflow keeps
    pipeline: str = ""

    @property
    def code(self) -> Path:
        return self.folder / "code"

    def runner(self, later: timedelta = timedelta(), **settings: Any) -> KfpRunner:
        def refuse(loop: str, key: str, step: str, reason: str) -> None:
            self.words[loop, key] = (step, reason)

        given = {"folder": str(self.code), "reason": lambda *of: self.words.get(of), "refuse": refuse, **settings}
        url, text = given.pop("url", self.server.url), given.pop("text", self.pipeline)
        return KfpRunner(url, text, MLFLOW, now=lambda: datetime.now(UTC) + later, **given)

    @property
    def client(self) -> KfpClient:
        return kfp_client.connect(self.server.url)

    def runs(self) -> list[dict[str, Any]]:
        """Every run that the server has."""
        return self.client.runs()

    def by_hand(self, beside: str, **changes: Any) -> str:
        """Somebody makes a run like that with the key `beside`, but for the changes."""
        run = next(run for run in self.runs() if run["display_name"] == beside)
        kept = ("display_name", "experiment_id", "pipeline_version_reference", "runtime_config", "description")
        return str(self.client.create_run({**{name: run[name] for name in kept}, **changes})["run_id"])

    def calls(self, word: str) -> int:
        return sum(word in call for call in self.server.calls)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    return patience.compiled(tmp_path_factory.mktemp("pipeline")).read_text()


@pytest.fixture
def place(tmp_path: Path, compiled: str) -> Iterator[Place]:
    (tmp_path / "code").mkdir()
    with serving(tmp_path / "kfp", accounts=frozenset({"trainer"})) as server:
        yield Place(tmp_path, server, pipeline=compiled)
    for run in (tmp_path / "kfp" / "runs").iterdir():
        folder.kill(run)


def asked(key: str, loop: str = "flights") -> RunRequest:
    return RunRequest(key, loop, "drift", REQUESTED, "{}")


def ended(runner: KfpRunner, key: str) -> RunState:
    state = patience.wait_for(lambda: runner.find(key), lambda run: run is not None and not run.active)
    assert state is not None
    return state


def questions(runner: KfpRunner) -> list[Callable[[], object]]:
    return [
        lambda: runner.submit(asked("flights-1")),
        lambda: runner.find("flights-1"),
        lambda: runner.active("flights"),
        lambda: runner.cancel("flights-1"),
    ]


def test_a_run_carries_its_key_and_its_reason_where_a_person_sees_them(place: Place) -> None:
    place.runner(service_account="trainer").submit(asked("flights-1"))
    (run,) = place.runs()
    assert run["display_name"] == "flights-1"
    assert run["description"] == "Serinus: drift run of flights, asked for at 2026-01-02T03:04:05+00:00"
    assert run["service_account"] == "trainer"
    assert run["runtime_config"]["parameters"] == {
        "loop": "{}",
        "trigger": "flights-1",
        "mlflow_uri": MLFLOW,
        "folder": str(place.code),
    }
    assert run["experiment_id"] == place.client.experiment("flights")


def test_a_pipeline_is_uploaded_once_for_its_content(place: Place) -> None:
    runner = place.runner()
    for key in ("flights-1", "flights-2"):
        patience.say(place.code, key)
        runner.submit(asked(key))
        assert ended(runner, key).phase == "succeeded"
    assert (place.calls("pipelines/upload_version"), place.calls("POST /apis/v2beta1/runs")) == (1, 2)
    other = place.pipeline + "\n# another\n"
    runner = place.runner(text=other)
    runner.submit(asked("flights-3"))
    assert place.calls("pipelines/upload_version") == 2
    pipeline = place.client.pipeline("serinus-training")
    by_key = {run["display_name"]: run["pipeline_version_reference"]["pipeline_version_id"] for run in place.runs()}
    assert by_key["flights-1"] == by_key["flights-2"] == place.client.version(pipeline, content_hash(place.pipeline))
    assert by_key["flights-3"] == place.client.version(pipeline, content_hash(other))


def test_a_pipeline_that_cannot_be_read_is_never_sent(place: Place) -> None:
    with pytest.raises(Fatal, match="expected a compiled pipeline"):
        place.runner(text="not: a pipeline")
    with pytest.raises(Fatal, match="expected a compiled pipeline"):
        place.runner(text="a: [")
    broken = place.pipeline.replace("deploymentSpec:", "deploymentSpecs:")
    with pytest.raises(Fatal, match="cannot be read by KFP"):
        place.runner(text=broken).submit(asked("flights-1"))
    assert place.calls("upload") == 0


def test_what_the_server_refuses_is_said_in_its_words(place: Place) -> None:
    stranger = place.pipeline.replace("      trigger:\n        parameterType", "      triggers:\n        parameterType")
    with pytest.raises(Fatal, match=r"400.*parameter trigger is not an input"):
        place.runner(text=stranger).submit(asked("flights-1"))


def test_names_that_the_servers_filters_would_mangle_are_refused(place: Place) -> None:
    for key in ("a/b", "", "a%20b", "x" * 201):
        with pytest.raises(Fatal, match="expected letters"):
            place.runner().find(key)
    with pytest.raises(Fatal, match="expected letters"):
        place.runner().active("a b")


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
    place.server.faults.set({"slow": 0.2})  # so that neither sees the other's run before it makes its own
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    place.server.faults.set({})
    runner = place.runner()
    (first,) = runner.active("flights")
    assert [run["display_name"] for run in place.runs() if run["storage_state"] == "AVAILABLE"] == [first.key]
    for key in set(keys) - {first.key}:
        assert runner.find(key) is None, "as if it had never been asked"
    patience.say(place.code, first.key)
    assert ended(runner, first.key).phase == "succeeded"
    states = {run["run_id"]: run["state"] for run in place.runs()}
    assert sorted(states.values()) in (["SUCCEEDED"], ["FAILED", "SUCCEEDED"])


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


def test_runs_that_others_made_under_our_names_are_not_ours(place: Place) -> None:
    runner = place.runner()
    made = runner.submit(asked("flights-1"))
    loud = {"parameters": {"loop": "{}", "trigger": "FLIGHTS-1", "mlflow_uri": MLFLOW, "folder": str(place.code)}}
    place.by_hand("flights-1", display_name="Clone of flights-1")
    place.by_hand("flights-1", runtime_config=loud)
    place.by_hand("flights-1", display_name="FLIGHTS-1", runtime_config=loud, experiment_id="", description="")
    assert runner.find("flights-1") is not None
    assert runner.active("flights") == (runner.find("flights-1"),)
    patience.say(place.code, "flights-1")
    assert ended(runner, "flights-1").created == made.created


def test_an_archived_run_counts_unless_it_failed(place: Place) -> None:
    runner = place.runner()
    runner.submit(asked("flights-1"))
    (run,) = place.runs()
    place.client.archive(run["run_id"])
    assert [state.key for state in runner.active("flights")] == ["flights-1"], "it goes on, out of sight"
    patience.say(place.code, "flights-1", "no")
    patience.wait_for(place.runs, lambda runs: runs[0]["state"] == "FAILED")
    assert runner.find("flights-1") is None
    assert runner.submit(asked("flights-1")).active, "who puts a failed run out of sight wants it anew"


def test_a_run_is_found_whatever_page_it_is_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = place.runner()
    for loop in ("alpha", "beta", "gamma", "delta", "epsilon"):
        runner.submit(asked(f"{loop}-1", loop))
    monkeypatch.setattr(kfp_client, "_PAGE", 2)
    assert len(place.runs()) == 5
    assert place.calls("GET /apis/v2beta1/runs") > 3


def test_runs_outlive_a_server_that_is_restarted(tmp_path: Path, compiled: str) -> None:
    (tmp_path / "code").mkdir()
    for turn in range(2):
        with serving(tmp_path / "kfp") as server:
            place = Place(tmp_path, server, pipeline=compiled)
            runner = place.runner()
            if turn == 0:
                made = runner.submit(asked("flights-1"))
                continue
            assert runner.submit(asked("flights-1")).created == made.created
            patience.say(place.code, "flights-1")
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


def test_a_registry_that_is_away_delays_the_news_of_a_failure_rather_than_losing_its_reason(place: Place) -> None:
    def away(*_arguments: str) -> None:
        raise Unavailable("MLflow is away")

    runner = place.runner(reason=away, refuse=away)
    runner.submit(asked("flights-1"))
    with pytest.raises(Unavailable, match="MLflow is away"):
        runner.cancel("flights-1")
    patience.say(place.code, "flights-1", "no")
    patience.wait_for(place.runs, lambda runs: runs[0]["state"] == "FAILED")
    with pytest.raises(Unavailable, match="MLflow is away"):
        runner.find("flights-1")


def test_a_failure_without_a_word_names_the_step_and_where_to_look(place: Place) -> None:
    runner = place.runner()
    runner.submit(asked("flights-1"))
    patience.say(place.code, "flights-1", "crash")
    state = ended(runner, "flights-1")
    (run,) = place.runs()
    assert (state.step, state.reason) == (
        "patient",
        f"step patient ended without saying why; see the logs of run {run['run_id']} in Kubeflow's UI",
    )


def test_a_service_account_that_does_not_exist_is_suspected(place: Place) -> None:
    state = place.runner(service_account="nobody").submit(asked("flights-1"))
    assert (state.phase, state.step) == ("failed", "")
    assert "the service account nobody exists" in state.reason


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


def test_a_profiles_runs_are_made_and_found_in_its_namespace(place: Place) -> None:
    place.server.backend.multi_user = True
    runner = place.runner(namespace="team")
    runner.submit(asked("flights-1"))
    assert [run.key for run in runner.active("flights")] == ["flights-1"]
    (experiment,) = json.loads((place.folder / "kfp" / "state.json").read_text())["experiments"]
    assert experiment["namespace"] == "team"
    assert place.runner(namespace="others").find("flights-1") is None


def test_a_host_without_a_scheme_is_refused() -> None:
    with pytest.raises(Fatal, match="expected http://"):
        kfp_client.connect("ml-pipeline.kubeflow:8888")


def test_a_state_that_nobody_has_heard_of_has_yet_to_become_one() -> None:
    base = {
        "display_name": "flights-drift-1", "run_id": "1", "created_at": "2026-01-02T03:04:05Z",
        "runtime_config": {"parameters": {"trigger": "flights-drift-1", "loop": '{"metadata": {"name": "flights"}}'}},
    }  # fmt: skip
    states = (
        None, "RUNTIME_STATE_UNSPECIFIED", "PENDING", "RUNNING", "CANCELING", "PAUSED", "SUCCEEDED", "SKIPPED",
        "FAILED", "CANCELED",
    )  # fmt: skip
    phases = {}
    for state in states:
        run = kfp_runs.read({**base, "state": state}, ())
        assert run is not None
        assert (run.loop, run.cause) == ("flights", "drift"), "from key and parameters, when the description is lost"
        phases[state] = run.phase
    assert phases == {
        None: "pending", "RUNTIME_STATE_UNSPECIFIED": "pending", "PENDING": "pending", "RUNNING": "running",
        "CANCELING": "running", "PAUSED": "running", "SUCCEEDED": "succeeded", "SKIPPED": "failed", "FAILED": "failed",
        "CANCELED": "failed",
    }  # fmt: skip
