"""What the train step says of a fresh model for those who judge it in production."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from serinus import models, wire
from serinus.decide.concept import region_of
from serinus.facts import Condition, Contract, Dataset, Prediction, Record, Reference, Value, Window
from serinus.models import reference, regions, scoring
from serinus.spec import ModelLoop
from tests import data_sets

Made = tuple[Contract, Any, pd.DataFrame, pd.DataFrame, Reference]


def made(loop: ModelLoop, frame: pd.DataFrame) -> Made:
    dataset = Dataset("d" * 64, "made up", Window(data_sets.END, data_sets.END), len(frame), {})
    estimator, contract = models.fit(loop, frame, dataset, None)
    train, holdout = models.split(loop, frame)
    return contract, estimator, train, holdout, reference.make(contract, estimator, train, holdout, 7)


@pytest.fixture(scope="module")
def binary() -> Made:
    return made(*data_sets.binary(rows=6000))


def rows_of(contract: Contract, frame: pd.DataFrame) -> list[dict[str, Value]]:
    texts = {f.name for f in contract.fields if f.kind == "categorical"}
    return [
        {
            f.name: (row[f.name] if isinstance(row[f.name], str) else None)
            if f.name in texts
            else (None if np.isnan(row[f.name]) else float(row[f.name]))
            for f in contract.fields
        }
        for row in frame.to_dict(orient="records")
    ]


def test_figures_of_two_classes_are_the_holdouts(binary: Made) -> None:
    contract, estimator, _, holdout, found = binary
    answers = scoring.answer(contract, estimator, holdout)
    assert contract.positive == "returned"
    assert found.rows == len(holdout) == sum(cell.rows for cell in found.cells)
    assert found.metrics["accuracy"].value == pytest.approx(metrics.accuracy_score(holdout["fate"], answers.labels))
    returned = holdout["fate"] == "returned"
    assert found.metrics["brier"].value == pytest.approx(metrics.brier_score_loss(returned, answers.scores))
    assert found.metrics["roc_auc"].value == pytest.approx(metrics.roc_auc_score(returned, answers.scores), abs=1e-3)


def test_regions_divide_the_holdout_and_hold_its_loss(binary: Made) -> None:
    contract, estimator, _, holdout, found = binary
    scores = scoring.score(contract, estimator, holdout)
    losses = (scores - (holdout["fate"] == "returned")) ** 2
    assert 2 <= len(found.regions) <= 16
    assert sum(region.rows for region in found.regions) == len(holdout)
    assert min(region.rows for region in found.regions) >= 95  # the tree's 100, less what 32 bits round away
    mean = sum(region.rows * region.loss for region in found.regions) / len(holdout)
    assert mean == pytest.approx(losses.mean()) == pytest.approx(found.metrics["brier"].value)
    assert all(region.square >= region.loss**2 for region in found.regions)


def test_production_finds_every_holdout_row_in_the_region_it_was_counted_in(binary: Made) -> None:
    contract, estimator, _, holdout, found = binary
    scores = scoring.score(contract, estimator, holdout)
    placed = [
        region_of(found.regions, Record(Prediction("r", 1, data_sets.END, row, float(score))))
        for row, score in zip(rows_of(contract, holdout), scores, strict=True)
    ]
    assert [placed.count(i) for i in range(len(found.regions))] == [region.rows for region in found.regions]


def test_the_sample_is_rows_of_the_training_part_as_values(binary: Made) -> None:
    contract, _, train, _, found = binary
    assert set(found.sample) == {field.name for field in contract.fields}
    assert {len(values) for values in found.sample.values()} == {1000}
    rows = {tuple(row.values()) for row in rows_of(contract, train)}
    sample = list(zip(*(found.sample[f.name] for f in contract.fields), strict=True))
    assert set(sample) <= rows
    assert None in found.sample["shop"]
    assert None in found.sample["weight"]


def test_it_is_the_same_every_time_and_survives_its_file(binary: Made) -> None:
    contract, estimator, train, holdout, found = binary
    assert reference.make(contract, estimator, train, holdout, 7) == found
    assert wire.load(Reference, wire.dump(found)) == found
    assert reference.make(contract, estimator, train, holdout, 8).sample != found.sample


def test_several_classes_have_cells_by_confidence_and_a_small_holdout_has_no_regions() -> None:
    contract, estimator, _, holdout, found = made(*data_sets.multiclass(rows=900))
    answers = scoring.answer(contract, estimator, holdout)
    assert len(holdout) < 200
    assert found.regions == ()
    assert found.metrics["accuracy"].value == pytest.approx(metrics.accuracy_score(holdout["crop"], answers.labels))
    assert {cell.answer for cell in found.cells} <= set(contract.classes)
    assert min(cell.bin for cell in found.cells) >= 33


def test_a_regression_has_errors_and_regions_of_squared_errors() -> None:
    contract, estimator, _, holdout, found = made(*data_sets.regression(rows=3000))
    predicted = scoring.score(contract, estimator, holdout)
    assert found.cells == ()
    assert found.metrics["rmse"].value == pytest.approx(metrics.root_mean_squared_error(holdout["litres"], predicted))
    mean = sum(region.rows * region.loss for region in found.regions) / len(holdout)
    assert mean == pytest.approx(found.metrics["rmse"].value ** 2)


def shaped(frame: pd.DataFrame, loss: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[Any, ...]:
    """The regions that a made-up loss gives rise to, of the model that the fixture's loop makes."""
    loop, rows = data_sets.binary(rows=1200)
    contract = made(loop, rows)[0]
    return regions.find(contract, frame, np.full(len(frame), 0.5), loss, 1)


def test_nulls_that_are_hard_get_a_region_of_their_own_and_unseen_ones_go_with_the_most() -> None:
    n = 1000
    rng = np.random.default_rng(1)
    null = np.arange(n) % 4 == 0
    frame = pd.DataFrame(
        {
            "weight": np.where(null, np.nan, rng.random(n)),
            "price": rng.random(n),
            "shop": pd.Series(["north", "south", "café", "north"] * (n // 4), dtype=object),
        }
    )
    found = shaped(frame, null * 1.0)
    weighing = [next(c for c in region.conditions if c.name == "weight") for region in found if region.loss == 1]
    assert weighing
    assert all(c.missing for c in weighing)
    assert sum(region.rows for region in found if region.loss == 1) == null.sum()
    cheap = shaped(frame.assign(weight=1.0), (frame["price"].to_numpy() < 0.3) * 1.0)
    record = Record(Prediction("r", 1, data_sets.END, {"weight": 1.0, "price": None, "shop": "north"}, 0.5))
    place = region_of(cheap, record)
    assert place is not None
    assert cheap[place].loss == 0


def test_categories_that_are_hard_get_a_region_and_null_categories_too() -> None:
    n = 1200
    shops = pd.Series(["north", "south", "café", None] * (n // 4), dtype=object)
    frame = pd.DataFrame({"weight": 1.0, "price": 1.0, "shop": shops})
    south = shaped(frame, (shops == "south").to_numpy() * 1.0)
    hard = next(region for region in south if region.loss == 1)
    assert hard.conditions == (Condition("shop", categories=("south",)),)
    nobody = shaped(frame, shops.isna().to_numpy() * 1.0)
    hard = next(region for region in nobody if region.loss == 1)
    assert hard.conditions == (Condition("shop", missing=True),)
    assert {name for region in nobody for c in region.conditions for name in c.categories} == {"north", "south", "café"}


def test_a_feature_that_is_called_score_gives_way_to_the_models_score() -> None:
    loop, frame = data_sets.binary(
        rows=3000, data={"features": {"numeric": ["score", "price"], "categorical": ["shop"]}}
    )
    found = made(loop, frame.rename(columns={"weight": "score"}))[4]
    limits = [c for region in found.regions for c in region.conditions if c.name == "score"]
    assert limits
    assert all(0 <= border <= 1 for c in limits for border in (c.low, c.high) if border is not None)
