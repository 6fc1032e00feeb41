"""How much a model goes by each feature, as the train step measures it on the holdout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serinus import artifact, models, sources, wire
from serinus.facts import Contract, Dataset, Importance, Reference, Window
from serinus.models import importance, scoring
from serinus.models.inputs import Inputs
from serinus.spec import ModelLoop
from serinus.steps import train
from tests import data_sets


def measured(spec: ModelLoop, frame: pd.DataFrame, metric: str = "", seed: int = 7) -> dict[str, Importance]:
    estimator, contract, holdout = fitted(spec, frame)
    found = importance.measure(contract, estimator, holdout, metric or spec.spec.validation.metric, seed)
    assert [one.name for one in found] == [field.name for field in contract.fields]
    return {one.name: one for one in found}


def fitted(spec: ModelLoop, frame: pd.DataFrame) -> tuple[Any, Contract, pd.DataFrame]:
    dataset = Dataset("d" * 64, "made up", Window(data_sets.END, data_sets.END), len(frame), {})
    estimator, contract = models.fit(spec, frame, dataset, None)
    return estimator, contract, models.split(spec, frame)[1]


@pytest.mark.parametrize("estimator", ["hist-gradient-boosting", "logistic-regression"])
def test_what_makes_the_label_is_told_from_what_hardly_does_and_from_noise(estimator: str) -> None:
    features = {"numeric": ["weight", "noise", "same"], "categorical": ["shop"]}
    spec, frame = data_sets.binary(rows=6000, training={"estimator": estimator})
    spec = spec.model_copy(
        update={"spec": spec.spec.model_copy(update={"data": spec.spec.data.model_copy(
            update={"features": type(spec.spec.data.features).model_validate(features)})})}
    )  # fmt: skip
    frame = frame.assign(noise=np.random.default_rng(5).normal(size=len(frame)), same=1.0)
    found = measured(spec, frame)
    assert found["weight"].drop > 0.1 > found["shop"].drop > 0.02 > abs(found["noise"].drop)
    assert found["weight"].drop > 5 * found["weight"].error > 0
    assert found["same"] == Importance("same", 0.0, 0.0, 0.0), "a constant cannot be shuffled"
    assert found["weight"].moved > found["shop"].moved > 0.01


@pytest.mark.parametrize("metric", ["rmse", "r2"])
def test_a_loss_of_quality_is_a_drop_whichever_way_the_metric_goes(metric: str) -> None:
    found = measured(*data_sets.regression(rows=3000), metric=metric)
    assert found["people"].drop > found["garden_m2"].drop > found["heating"].drop > 0
    assert found["people"].moved > found["heating"].moved > 1, "in litres"


def test_of_several_classes_a_feature_moves_all_probabilities() -> None:
    found = measured(*data_sets.multiclass(rows=3000))
    assert all(one.drop > 0.05 for one in found.values())
    assert all(0.05 < one.moved < 1 for one in found.values())


def test_a_metric_that_is_not_defined_on_the_rows_says_nothing() -> None:
    spec, frame = data_sets.binary()
    estimator, contract, holdout = fitted(spec, frame)
    one_kind = holdout[holdout["fate"] == "kept"]
    found = importance.measure(contract, estimator, one_kind, "roc_auc", 7)
    assert {(one.drop, one.error) for one in found} == {(0.0, 0.0)}
    assert all(one.moved > 0 for one in found)


def test_a_users_own_estimator_is_asked_with_its_own_columns(tmp_path: Path) -> None:
    spec, frame = data_sets.regression(rows=600)
    contract = fitted(spec, frame)[1]
    own = replace(contract, estimator="mine:fit")

    class Mine:
        def predict(self, rows: pd.DataFrame) -> Any:
            return rows["people"].to_numpy() * 90

    found = importance.measure(own, Mine(), models.split(spec, frame)[1], "rmse", 7)
    assert [one.name for one in found if one.moved] == ["people"]
    assert [one.drop == 0 for one in found] == [False, True, True]


def test_no_more_rows_are_predicted_than_a_step_has_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, frame = data_sets.regression(rows=1200)
    estimator, contract, holdout = fitted(spec, frame)
    seen: list[int] = []

    def answer(of: Contract, by: Any, rows: Inputs) -> scoring.Answers:
        seen.append(len(rows.values))
        return scoring.answer(of, by, rows)

    monkeypatch.setattr(importance, "answer", answer)
    for most, rows in ((importance.PREDICTED, len(holdout)), (3000, 200), (1, importance.LEAST)):
        monkeypatch.setattr(importance, "PREDICTED", most)
        seen.clear()
        importance.measure(contract, estimator, holdout, "rmse", 7)
        assert set(seen) == {rows}
        assert len(seen) == 2 + importance.REPEATS * len(contract.fields)


def test_the_train_step_keeps_it_with_the_model(tmp_path: Path) -> None:
    spec, frame = data_sets.binary()
    sources.snapshot(frame, "made up", spec.spec.data.time, tmp_path / "data")
    train.run(spec.model_dump_json(by_alias=True), "", tmp_path / "data", tmp_path / "model")
    said = artifact.reference(tmp_path / "model")
    assert said is not None
    found = measured(spec, sources.open_snapshot(tmp_path / "data")[0], seed=spec.spec.training.seed)
    assert {one.name: one for one in said.importance} == found


def test_a_reference_of_before_it_was_measured_can_still_be_read() -> None:
    one = Importance("temp", 0.1, 0.01, 0.2)
    new = Reference(9, {}, (), (), {}, (one,))
    assert wire.load(Reference, wire.dump(new)) == new
    old = json.loads(wire.dump(new))
    del old["importance"]
    assert wire.load(Reference, json.dumps(old).encode()).importance == ()
