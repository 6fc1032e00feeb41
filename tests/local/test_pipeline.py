"""The compiled pipeline as the local runner runs it: real steps, a real MLflow server, data that no code here knows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.compile import COMPILED
from serinus import artifact, wire
from serinus.adapters.kfp_local import LocalRunner
from serinus.adapters.mlflow import MlflowRegistry
from serinus.facts import Evaluation, FeatureDrift, RunRequest, RunState, Shift, Why
from serinus.spec import ModelLoop
from tests import data_sets
from tests.servers.mlflow import mlflow_uri  # noqa: F401  (a fixture)
from tests.servers.patience import wait_for

pytestmark = pytest.mark.timeout(400)  # a run is some 8 s of work, whatever else the machine does meanwhile

USER_CODE = '''
"""A user's own source and training function, from a folder of their own."""

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def rows(window):
    return pd.read_csv(__file__.replace("own.py", "own.csv"))


def fit(X, y, params):
    words = make_column_transformer((OneHotEncoder(sparse_output=False), ["soil"]), remainder="passthrough")
    return make_pipeline(words, RandomForestClassifier(random_state=0, **params)).fit(X, y)
'''


class Bench:
    """A folder with a ModelLoop's data in it, and runs of the real pipeline over it."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.code, self.runs = folder / "code", folder / "runs"
        (self.code / "data").mkdir(parents=True)
        self.registry = MlflowRegistry(uri)
        self.runner = LocalRunner(self.runs, COMPILED, uri, self.code)

    def write(self, frame: pd.DataFrame) -> None:
        frame.to_csv(self.code / "data" / "rows.csv", index=False)

    def run(self, loop: ModelLoop, key: str, why: Why | None = None) -> RunState:
        request = RunRequest(key, loop.name, "manual", datetime.now(UTC), loop.model_dump_json(by_alias=True), why)
        self.runner.submit(request)
        state = wait_for(lambda: self.runner.find(key), lambda run: run is not None and not run.active, 180)
        assert state is not None
        return state

    def succeed(self, loop: ModelLoop, key: str, why: Why | None = None) -> None:
        state = self.run(loop, key, why)
        assert (state.phase, state.step, state.reason) == ("succeeded", "register", ""), self.log(key)

    def log(self, key: str) -> str:
        return (self.runs / key / "log.txt").read_text()

    def judged(self, key: str) -> Evaluation:
        return wire.load(Evaluation, (self.output(key, "validate") / "evaluation" / "evaluation.json").read_bytes())

    def output(self, key: str, step: str) -> Path:
        (path,) = (self.runs / key / "artifacts").glob(f"*/{step}")
        return path

    def shown(self, key: str, step: str) -> dict[str, Any]:
        """What the step's artifacts say in KFP's words: artifact -> metadata."""
        written = json.loads((self.output(key, step) / "executor_output.json").read_text())
        return {name: each["artifacts"][0]["metadata"] for name, each in written["artifacts"].items()}


@pytest.fixture
def bench(tmp_path: Path, mlflow_uri: str) -> Bench:  # noqa: F811
    return Bench(tmp_path, mlflow_uri)


def named(loop: ModelLoop, name: str) -> ModelLoop:
    """The loop under a name of its own: the tests share a registry."""
    return loop.model_copy(update={"metadata": loop.metadata.model_copy(update={"name": name})})


def test_a_run_registers_a_challenger_and_the_next_is_judged_beside_the_champion(bench: Bench) -> None:
    loop, frame = data_sets.binary()
    loop = named(loop, "parcels-twice")
    bench.write(frame)
    bench.succeed(loop, "parcels-1")
    (first,) = bench.registry.versions(loop.name)
    assert (first.trigger, set(first.aliases)) == ("parcels-1", {"challenger"})
    assert first.digest == artifact.verify(bench.output("parcels-1", "train") / "model")
    assert bench.shown("parcels-1", "train")["model"]["digest"] == first.digest
    assert bench.shown("parcels-1", "ingest")["dataset"]["version"] == first.dataset

    bench.registry.alias(loop.name, "champion", first.number)
    why = Why("1 of 4 distributions drifted", (FeatureDrift("weight", 0.0, 0.3, True, Shift(0.31, sd=0.84)),))
    bench.succeed(loop, "parcels-2", why)
    _, second = bench.registry.versions(loop.name)
    assert (second.number, second.trigger, set(second.aliases)) == (2, "parcels-2", {"challenger"})
    assert (second.dataset, second.digest) == (first.dataset, first.digest), "the same rows give the same model"
    judged = bench.judged("parcels-2")
    assert judged.champion == judged.candidate
    shown = bench.shown("parcels-2", "validate")
    assert shown["figures"]["roc_auc"] == judged.candidate
    assert shown["figures"]["champion_roc_auc"] == judged.champion
    assert 2 <= len(shown["curves"]["confidenceMetrics"]) <= 200
    assert [row["row"] for row in shown["curves"]["confusionMatrix"]["rows"]] == [list(r) for r in judged.confusion]
    card = (bench.output("parcels-2", "validate") / "card").read_text()
    assert "What the model goes by" in card
    assert "1 of 4 distributions drifted" in card
    assert "+0.84 sd" in card
    (origin, before) = (bench.registry.papers(loop.name, number).origin for number in (2, 1))
    assert origin is not None
    assert origin.why == why
    assert before is not None
    assert before.why is None
    assert "<html" in (bench.output("parcels-2", "check") / "report").read_text()


def test_a_regression_goes_from_rows_to_the_registry_and_shows_no_curves(bench: Bench) -> None:
    loop, frame = data_sets.regression()
    loop = named(loop, "water-once")
    bench.write(frame)
    bench.succeed(loop, "water-1")
    (version,) = bench.registry.versions(loop.name)
    assert version.trigger == "water-1"
    shown = bench.shown("water-1", "validate")
    assert shown["figures"]["rmse"] == bench.judged("water-1").candidate
    assert shown["curves"] == {}


def test_a_users_own_source_and_training_function_come_from_their_folder(bench: Bench) -> None:
    source, training = {"python": "own:rows"}, {"python": "own:fit", "params": {"n_estimators": 20}}
    loop, frame = data_sets.multiclass(source=source, training=training)
    loop = named(loop, "fields-own")
    (bench.code / "own.py").write_text(USER_CODE)
    frame.to_csv(bench.code / "own.csv", index=False)
    bench.succeed(loop, "fields-1")
    (version,) = bench.registry.versions(loop.name)
    assert version.trigger == "fields-1"
    categories = bench.shown("fields-1", "validate")["curves"]["confusionMatrix"]["annotationSpecs"]
    assert [each["displayName"] for each in categories] == ["barley", "oats", "rye"]


def test_a_gate_that_says_no_stops_the_run_registers_nothing_and_says_why(bench: Bench) -> None:
    loop, frame = data_sets.binary(data={"checks": {"minRows": 5000}})
    loop = named(loop, "parcels-few")
    bench.write(frame)
    state = bench.run(loop, "parcels-few-1")
    assert (state.phase, state.step) == ("failed", "check"), bench.log("parcels-few-1")
    assert "1,200" in state.reason or "1200" in state.reason, "the figure is named"
    assert LocalRunner(bench.runs, COMPILED, "http://127.0.0.1:9", bench.code).find("parcels-few-1") == state
    assert bench.registry.versions(loop.name) == ()
    assert bench.registry.reason(loop.name, "parcels-few-1") == ("check", state.reason)
    assert "<html" in (bench.output("parcels-few-1", "check") / "report").read_text()
    assert not list((bench.runs / "parcels-few-1" / "artifacts").glob("*/train"))


def test_rows_that_cannot_be_read_fail_the_run_with_what_to_do(bench: Bench) -> None:
    loop, _ = data_sets.binary()
    state = bench.run(named(loop, "parcels-none"), "parcels-none-1")
    assert (state.phase, state.step) == ("failed", "ingest")
    assert "data/" in state.reason


def test_a_registry_that_is_away_fails_the_run_and_loses_no_word_of_why(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "http://127.0.0.1:9")
    loop, frame = data_sets.binary()
    bench.write(frame.drop(columns="price"))
    state = bench.run(loop, "parcels-1")
    assert (state.phase, state.step) == ("failed", "ingest")
    assert "price" in state.reason
