"""The official client against a stand-in for Kubeflow's backend: what a run is made of, and whose it is."""

from __future__ import annotations

import json

import pytest

from serinus.adapters import kfp_client, kfp_runs
from serinus.errors import Fatal, Unavailable
from serinus.render.pipeline import content_hash
from tests.servers import patience
from tests.servers.kubeflow import MLFLOW, Place, asked, ended


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


def test_the_step_is_known_although_lists_leave_it_out(place: Place) -> None:
    place.server.backend.brief = True
    runner = place.runner()
    runner.submit(asked("flights-1"))
    running = patience.wait_for(lambda: runner.active("flights"), lambda runs: runs[0].step == "patient")
    assert [run.phase for run in running] == ["running"]
    patience.say(place.code, "flights-1", "crash")
    state = ended(runner, "flights-1")
    assert (state.phase, state.step) == ("failed", "patient")


def test_a_service_account_that_does_not_exist_is_suspected(place: Place) -> None:
    state = place.runner(service_account="nobody").submit(asked("flights-1"))
    assert (state.phase, state.step) == ("failed", "")
    assert "the service account nobody exists" in state.reason


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
