"""The stand-in for Kubeflow's backend against what a real 2.16.1 answered, asked with the official client alone."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from kfp.client import Client
from kfp_server_api.exceptions import ApiException

from serinus.adapters import kfp_local_folder as folder
from tests.servers import patience
from tests.standins.kfp.server import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("kfp")
    with serving(place, accounts=frozenset({"trainer"})) as running:
        yield running
    for run in (place / "runs").iterdir():
        folder.kill(run)


@pytest.fixture
def client(server: Server) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Client(host=server.url, namespace="default")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return patience.compiled(tmp_path_factory.mktemp("package"))


def given(folder: Path, trigger: str) -> dict[str, str]:
    return {"loop": "{}", "trigger": trigger, "mlflow_uri": "-", "folder": str(folder)}


def made(client: Any, package: Path, name: str, folder: Path, experiment: str = "e") -> Any:
    """A run by its package, as a person makes it."""
    return client.create_run_from_pipeline_package(
        str(package), given(folder, name), run_name=name, experiment_name=experiment, enable_caching=False
    ).run_info


def only(name: str, operation: str = "EQUALS", key: str = "display_name") -> str:
    return json.dumps({"predicates": [{"operation": operation, "key": key, "stringValue": name}]})


def status(call: Any) -> int:
    with pytest.raises(ApiException) as raised:
        call()
    return int(raised.value.status)


def test_a_run_goes_from_pending_over_running_to_succeeded(client: Any, package: Path, tmp_path: Path) -> None:
    run = made(client, package, "one-1", tmp_path)
    assert run.state == "PENDING"
    assert [r.run_id for r in client.list_runs(filter=only("one-1")).runs] == [run.run_id], "the very next list has it"
    running = patience.wait_for(lambda: client.get_run(run.run_id), lambda r: r.state == "RUNNING")
    tasks = {task.display_name: task.state for task in running.run_details.task_details}
    assert tasks["patient"] == "RUNNING"
    assert {"root", "root-driver", "patient-driver", "executor"} < set(tasks)
    patience.say(tmp_path, "one-1")
    ended = client.wait_for_run_completion(run.run_id, timeout=60, sleep_duration=1)
    assert ended.state == "SUCCEEDED"
    assert ended.finished_at >= ended.created_at


def test_a_run_that_was_terminated_ends_failed_without_a_word(client: Any, package: Path, tmp_path: Path) -> None:
    run = made(client, package, "two-1", tmp_path)
    patience.wait_for(lambda: client.get_run(run.run_id), lambda r: r.state == "RUNNING")
    client.terminate_run(run.run_id)
    ended = patience.wait_for(lambda: client.get_run(run.run_id), lambda r: r.state not in ("RUNNING", "CANCELING"))
    assert (ended.state, ended.error) == ("FAILED", None)
    tasks = {task.display_name: task for task in ended.run_details.task_details}
    assert tasks["patient"].state == "FAILED"
    assert not tasks["patient"].error.message
    assert status(lambda: client.terminate_run(run.run_id)) == 400


def test_names_may_repeat_and_filters_ignore_case(client: Any, package: Path, tmp_path: Path) -> None:
    ids = {made(client, package, name, tmp_path).run_id for name in ("same-1", "same-1", "SAME-1")}
    found = client.list_runs(filter=only("Same-1")).runs
    assert {run.run_id for run in found} == ids
    for run in found:
        client.terminate_run(run.run_id)


def test_lists_come_oldest_first_in_pages_whose_tokens_belong_to_their_question(client: Any) -> None:
    names = [f"paged-{n:02d}" for n in range(12)]
    for name in names:
        client.create_experiment(name)
    assert client.create_experiment(names[0]).experiment_id, "a second time returns the first"
    wanted = only("paged", "IS_SUBSTRING")
    first = client.list_experiments(filter=wanted)
    assert len(first.experiments) == 10
    assert first.total_size == 12
    second = client.list_experiments(filter=wanted, page_token=first.next_page_token)
    assert {e.display_name for e in (*first.experiments, *second.experiments)} == set(names)
    assert not second.next_page_token
    times = [e.created_at for e in first.experiments]
    assert times == sorted(times)
    other = only("paged-0", "IS_SUBSTRING")
    assert status(lambda: client.list_experiments(filter=other, page_token=first.next_page_token)) == 400
    newest = client.list_experiments(filter=wanted, sort_by="display_name desc", page_size=1)
    assert [e.display_name for e in newest.experiments] == ["paged-11"]


def test_filters_are_decoded_twice(client: Any) -> None:
    client.create_experiment("100%25")
    assert client.list_experiments(filter=only("100%25")).experiments is None
    assert len(client.list_experiments(filter=only("100%2525")).experiments) == 1


@pytest.mark.parametrize(
    "filter",
    ["{", only("x", "LIKE"), only("x", key="colour"), json.dumps({"predicates": [{"operation": "EQUALS"}]})],
)
def test_a_filter_that_makes_no_sense_is_a_400(client: Any, filter: str) -> None:
    assert status(lambda: client.list_runs(filter=filter)) == 400


def test_experiments_pipelines_and_versions_have_names_of_their_own(client: Any, package: Path) -> None:
    pipeline = client.upload_pipeline(str(package), "named")
    assert status(lambda: client.upload_pipeline(str(package), "Named")) == 409
    client.upload_pipeline_version(str(package), "v1", pipeline_id=pipeline.pipeline_id)
    again = lambda: client.upload_pipeline_version(str(package), "v1", pipeline_id=pipeline.pipeline_id)  # noqa: E731
    assert status(again) == 409
    versions = client.list_pipeline_versions(pipeline.pipeline_id, filter=only("v1")).pipeline_versions
    assert [version.display_name for version in versions] == ["v1"]
    client.create_experiment("mine")
    body = client.api_models.V2beta1Experiment(display_name="mine")
    assert status(lambda: client.experiments.experiment_service_create_experiment(body)) == 409


def test_what_is_wrong_with_a_run_is_a_400_or_a_500(client: Any, package: Path, tmp_path: Path) -> None:
    pipeline = client.upload_pipeline(str(package), "wrong")
    (version,) = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions
    reference = {"pipeline_id": pipeline.pipeline_id, "pipeline_version_id": version.pipeline_version_id}
    good = given(tmp_path, "wrong-1")

    def create(name: str = "wrong-1", parameters: Any = good, about: Any = reference, **more: Any) -> Any:
        body = client.api_models.V2beta1Run(
            display_name=name, pipeline_version_reference=about, runtime_config={"parameters": parameters}, **more
        )
        return client.runs.run_service_create_run(body)

    assert status(lambda: create(parameters={**good, "colour": "red"})) == 400
    assert status(lambda: create(parameters={"loop": "{}"})) == 400
    assert status(lambda: create(parameters={**good, "loop": 7})) == 400
    assert status(lambda: create(name="")) == 500
    assert status(lambda: create(name="x" * 300)) == 500
    assert status(lambda: create(about={"pipeline_version_id": "unknown"})) == 500
    assert status(lambda: create(about=None)) == 500
    identity = "5d7b1b0e-0000-4000-8000-000000000001"
    assert create(run_id=identity).run_id == identity
    assert status(lambda: create(run_id=identity)) == 500
    client.terminate_run(identity)
    nobody = create(service_account="nobody")
    ended = patience.wait_for(lambda: client.get_run(nobody.run_id), lambda run: run.state == "FAILED")
    assert (ended.error, ended.run_details) == (None, None)


def test_a_newer_clients_field_is_refused(server: Server) -> None:
    answer = urllib3.request("POST", f"{server.url}/apis/v2beta1/runs", json={"display_name": "x", "plugins_input": {}})
    assert answer.status == 400


def test_a_pipeline_that_does_not_parse_keeps_the_server_busy_for_ever(client: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("not: a pipeline")
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        client.pipeline_uploads.upload_pipeline(str(tmp_path / "broken.yaml"), name="broken", _request_timeout=(1, 1))


def test_a_login_page_gives_objects_full_of_none(client: Any, server: Server) -> None:
    server.faults.set({"login_page": True})
    try:
        assert client.list_runs().runs is None
    finally:
        server.faults.set({})


def test_health_says_nothing_of_the_rest(client: Any) -> None:
    assert client.get_kfp_healthz().multi_user is False
