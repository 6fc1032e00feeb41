"""The whole training pipeline through the official client, the stand-in for Kubeflow's backend and a real MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from pipelines.compile import COMPILED
from serinus.adapters import kfp_local_folder as folder
from serinus.adapters.kfp_api import KfpRunner
from serinus.adapters.mlflow import MlflowRegistry
from serinus.facts import RunRequest, RunState, Why
from serinus.render.pipeline import render
from serinus.spec import ModelLoop
from tests import data_sets
from tests.servers.mlflow import mlflow_uri  # noqa: F401  (a fixture)
from tests.servers.patience import wait_for
from tests.standins.kfp.server import Server, serving

pytestmark = pytest.mark.timeout(400)  # a run is some 8 s of work, whatever else the machine does meanwhile


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "kfp") as running:
        yield running
    for run in (tmp_path / "kfp" / "runs").iterdir():
        folder.kill(run)


def run(server: Server, uri: str, code: Path, loop: ModelLoop, key: str) -> RunState:
    registry = MlflowRegistry(uri)
    text = render(COMPILED.read_text(), loop.spec.training, "serinus/pipeline:0.1.0", "IfNotPresent")
    runner = KfpRunner(
        server.url, text, uri, deadline=loop.spec.training.deadline, reason=registry.reason, refuse=registry.refuse,
        folder=str(code),
    )  # fmt: skip
    spec = loop.model_dump_json(by_alias=True)
    request = RunRequest(key, loop.name, "manual", datetime.now(UTC), spec, Why('somebody said "please"'))
    assert runner.submit(request).active
    steps = []

    def look() -> RunState | None:
        state = runner.find(key)
        if state is not None and state.step and state.step not in steps:
            steps.append(state.step)
        return state

    state = wait_for(look, lambda found: found is not None and not found.active, 300)
    assert state is not None
    assert steps == sorted(steps, key=["ingest", "check", "train", "validate", "register"].index), "in their order"
    return state


def named(loop: ModelLoop, name: str) -> ModelLoop:
    """The loop under a name of its own: the tests share a registry."""
    return loop.model_copy(update={"metadata": loop.metadata.model_copy(update={"name": name})})


def test_a_run_registers_a_version_under_its_key_and_leaves_what_a_person_looks_at(
    tmp_path: Path,
    server: Server,
    mlflow_uri: str,  # noqa: F811
) -> None:
    training = {"estimator": "hist-gradient-boosting", "nodeSelector": {"pool": "train"}}
    loop, frame = data_sets.binary(training=training)
    loop = named(loop, "parcels-on-kubeflow")
    (tmp_path / "data").mkdir()
    frame.to_csv(tmp_path / "data" / "rows.csv", index=False)
    key = "parcels-on-kubeflow-manual-20260102T030405Z"
    state = run(server, mlflow_uri, tmp_path, loop, key)
    assert (state.phase, state.cause, state.step, state.reason) == ("succeeded", "manual", "register", "")
    (version,) = MlflowRegistry(mlflow_uri).versions(loop.name)
    assert (version.trigger, set(version.aliases)) == (key, {"challenger"})
    origin = MlflowRegistry(mlflow_uri).papers(loop.name, version.number).origin
    assert origin is not None
    assert origin.why == Why('somebody said "please"')

    (place,) = (tmp_path / "kfp" / "runs").iterdir()
    (card,) = place.glob("artifacts/*/validate/card")
    (said,) = place.glob("artifacts/*/validate/executor_output.json")
    shown = json.loads(said.read_text())["artifacts"]
    assert len(shown["curves"]["artifacts"][0]["metadata"]["confidenceMetrics"]) > 2
    assert "roc_auc" in shown["figures"]["artifacts"][0]["metadata"]
    with closing(httpx.Client(trust_env=False)) as client:
        page = client.get(f"{server.url}/standin/runs/{place.name}/{card.relative_to(place)}")
        assert "<html" in page.text
        assert client.get(f"{server.url}/standin/runs/../state.json").status_code == 404


def test_a_gate_that_says_no_ends_the_run_with_its_reason_from_mlflow(
    tmp_path: Path,
    server: Server,
    mlflow_uri: str,  # noqa: F811
) -> None:
    loop, frame = data_sets.binary(data={"checks": {"minRows": 5000}})
    loop = named(loop, "parcels-few-on-kubeflow")
    (tmp_path / "data").mkdir()
    frame.to_csv(tmp_path / "data" / "rows.csv", index=False)
    state = run(server, mlflow_uri, tmp_path, loop, "parcels-few-on-kubeflow-1")
    assert (state.phase, state.step) == ("failed", "check")
    assert "1,200" in state.reason or "1200" in state.reason, "the figure is named"
    assert MlflowRegistry(mlflow_uri).versions(loop.name) == ()
