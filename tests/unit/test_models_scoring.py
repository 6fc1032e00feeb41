"""One row or many, from a request or a dataset, by the quick way or scikit-learn's: the answer is the same."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serinus import models, sources
from serinus.facts import Contract
from serinus.models import scoring
from serinus.models.encoders import Expand, Fold
from serinus.models.once import once
from tests import data_sets

Fitted = tuple[Any, Contract, pd.DataFrame]


@pytest.fixture(scope="module", params=data_sets.CASES, ids=lambda case: f"{case[1]}-{case[0].__name__}")
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """(estimator, contract, 300 rows)."""
    make, name = request.param
    spec, frame = make(training=data_sets.training(name))
    folder = tmp_path_factory.mktemp("data")
    sources.snapshot(frame, "made up", spec.spec.data.time, folder)
    rows, dataset = sources.open_snapshot(folder)
    estimator, contract = models.fit(spec, rows, dataset, None)
    return estimator, contract, rows[:300]


def _sklearn(estimator: Any, contract: Contract, values: Any) -> Any:
    return estimator.predict(values) if contract.task == "regression" else estimator.predict_proba(values)


def _requests(contract: Contract, rows: pd.DataFrame) -> list[dict[str, object]]:
    """Rows as callers send them."""
    names = [field.name for field in contract.fields]
    return [
        {name: None if pd.isna(value) else value for name, value in zip(names, row, strict=True)}
        for row in rows[names].itertuples(index=False)
    ]


def test_the_quick_way_gives_what_scikit_learn_gives(fitted: Fitted) -> None:
    estimator, contract, rows = fitted
    values = models.columns(contract, rows[: scoring.SMALL]).values
    quick = models.TABLE[contract.estimator].quick(estimator)
    assert quick is not None
    assert isinstance(values, np.ndarray)
    np.testing.assert_allclose(quick(values), _sklearn(estimator, contract, values), rtol=1e-13)


def test_few_and_many_rows_get_the_same_answers(fitted: Fitted) -> None:
    estimator, contract, rows = fitted
    assert len(rows) > scoring.SMALL
    many = scoring.score(contract, estimator, rows)
    one_by_one = [scoring.score(contract, estimator, rows[n : n + 1])[0] for n in range(20)]
    np.testing.assert_allclose(one_by_one, many[:20], rtol=1e-12)


def test_a_request_and_a_dataset_are_encoded_alike(fitted: Fitted) -> None:
    _, contract, rows = fitted
    np.testing.assert_array_equal(
        models.frame(contract, _requests(contract, rows)).values, models.columns(contract, rows).values
    )


def test_numbers_may_come_as_any_json_number_and_unseen_categories_count_as_missing(fitted: Fitted) -> None:
    estimator, contract, _ = fitted
    numeric = {f.name: 3 for f in contract.fields if f.kind == "numeric"}
    texts = [f.name for f in contract.fields if f.kind == "categorical"]
    unseen = models.frame(contract, [numeric | dict.fromkeys(texts, "never seen")])
    missing = models.frame(contract, [{k: float(v) for k, v in numeric.items()} | dict.fromkeys(texts)])
    np.testing.assert_array_equal(unseen.values, missing.values)
    assert np.isfinite(scoring.score(contract, estimator, unseen)).all()


def test_labels_are_the_most_probable_class_and_probabilities_sum_to_one(fitted: Fitted) -> None:
    estimator, contract, rows = fitted
    answers = scoring.answer(contract, estimator, rows)
    if contract.task == "regression":
        assert (answers.labels, answers.probabilities, answers.scores.shape) == (None, None, (300,))
        return
    found = answers.probabilities
    assert found is not None
    assert found.shape == (300, len(contract.classes))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert answers.labels == [contract.classes[i] for i in found.argmax(axis=1)]
    if contract.task == "multiclass-classification":
        np.testing.assert_array_equal(answers.scores, found.max(axis=1))


def test_no_rows_get_no_answers(fitted: Fitted) -> None:
    estimator, contract, rows = fitted
    assert scoring.score(contract, estimator, rows[:0]).shape == (0,)
    assert scoring.score(contract, estimator, models.frame(contract, [])).shape == (0,)


def test_more_categories_than_a_histogram_has_bins_still_get_answers(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(training=data_sets.training("hist-gradient-boosting", max_bins=20))
    rng = np.random.default_rng(0)
    frame["shop"] = [f"shop {n}" for n in rng.zipf(1.6, len(frame)) % 60]
    dataset = sources.snapshot(frame, "made up", "sold at", tmp_path)
    estimator, contract = models.fit(spec, frame, dataset, None)
    assert len(contract.profile.features[2].categories) > 20
    frequent, rare = frame["shop"].value_counts().index[[0, -1]]
    row = {"weight": 3.0, "price": 20.0}
    answers = scoring.score(contract, estimator, models.frame(contract, [row | {"shop": s} for s in (frequent, rare)]))
    assert np.isfinite(answers).all()
    np.testing.assert_allclose(
        scoring.score(contract, estimator, frame),
        np.concatenate([scoring.score(contract, estimator, frame[n : n + 100]) for n in range(0, len(frame), 100)]),
    )


# --- parts -----------------------------------------------------------------------------------------------------------


def test_expand_one_hots_scales_fills_and_marks_gaps() -> None:
    nan = np.nan
    x = np.array([[0, 1.0, nan], [2, 3.0, 4.0], [1, 5.0, 8.0]])
    fitted = Expand([3]).fit(x)
    root = np.sqrt(8 / 3)
    np.testing.assert_allclose(
        fitted.transform(np.vstack([x, [nan, nan, nan]])),
        [
            [1, 0, 0, -2 / root, 0, 1],
            [0, 0, 1, 0, -1, 0],
            [0, 1, 0, 2 / root, 1, 0],
            [0, 0, 0, 0, 0, 1],
        ],
    )


def test_fold_keeps_the_most_frequent_and_puts_the_rest_together() -> None:
    codes = [0, 1, 1, 2, 3, 3, 3, np.nan]
    x = np.column_stack([codes, [0.0, 1.0] * 4, codes])
    found = Fold([4, 2], limit=3).fit(x).transform(x)
    np.testing.assert_array_equal(found[:, 0], [2, 1, 1, 2, 0, 0, 0, np.nan])
    np.testing.assert_array_equal(found[:, 1:], x[:, 1:])


def test_work_is_done_once_for_an_object_and_again_for_its_equal() -> None:
    calls: list[int] = []

    def size(key: list[int]) -> int:
        calls.append(len(key))
        return len(key)

    remembered = once(size, keep=2)
    one, other = [1], [1]
    assert [remembered(one), remembered(one), remembered(other)] == [1, 1, 1]
    assert calls == [1, 1]
    assert remembered([1, 2, 3]) == 3  # the third: the first is let go, and its memory may be taken by another
    gc.collect()
    assert [remembered(key) for key in ([], [1, 2], one)] == [0, 2, 1]


def test_a_changed_contract_is_not_taken_for_the_one_before(fitted: Fitted) -> None:
    _, contract, rows = fitted
    before = models.columns(contract, rows).values
    flipped = tuple(
        replace(b, categories=tuple(reversed(b.categories))) if b.kind == "categorical" else b
        for b in contract.profile.features
    )
    after = models.columns(replace(contract, profile=replace(contract.profile, features=flipped)), rows).values
    assert not np.array_equal(np.asarray(before)[:, 0], np.asarray(after)[:, 0])
