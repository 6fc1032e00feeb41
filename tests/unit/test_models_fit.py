"""Fitting: what is learned from, what the contract says of it, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serinus import models, sources
from serinus.errors import DataError, SpecError
from serinus.facts import Contract, Field
from serinus.models import scoring
from serinus.spec import ModelLoop
from serinus.stats import bins
from tests import data_sets


def _fit(folder: Path, spec: ModelLoop, frame: pd.DataFrame) -> tuple[Any, Contract, pd.DataFrame]:
    """(estimator, contract, the snapshot's rows)."""
    sources.snapshot(frame, "made up", spec.spec.data.time, folder)
    rows, dataset = sources.open_snapshot(folder)
    estimator, contract = models.fit(spec, rows, dataset, None)
    return estimator, contract, rows


@pytest.mark.parametrize(("make", "name"), data_sets.CASES)
def test_every_family_learns_every_task_it_is_for(make: Any, name: str, tmp_path: Path) -> None:
    spec, frame = make(training=data_sets.training(name))
    from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

    estimator, contract, rows = _fit(tmp_path, spec, frame)
    _, holdout = models.split(spec, rows)
    answers = scoring.answer(contract, estimator, holdout)
    truth = holdout[contract.label]
    if contract.task == "binary-classification":
        assert roc_auc_score(truth == "returned", answers.scores) > 0.7
    elif contract.task == "multiclass-classification":
        assert accuracy_score(truth, answers.labels) > 0.6
    else:
        assert r2_score(truth, answers.scores) > 0.8


def test_the_split_is_by_time_and_the_holdout_is_its_newest_part() -> None:
    spec, frame = data_sets.binary()
    train, holdout = models.split(spec, frame.sample(frac=1, random_state=0))
    border = data_sets.END - timedelta(days=6)
    assert train["sold at"].max() <= border < holdout["sold at"].min()
    assert len(train) + len(holdout) == len(frame)


def test_rows_without_a_label_neither_teach_nor_judge_but_still_tell_the_time() -> None:
    spec, frame = data_sets.binary(rows=100)
    frame.loc[frame.index[-40:], "fate"] = None
    train, holdout = models.split(spec, frame)
    assert len(train) + len(holdout) == 60
    assert train["fate"].notna().all()
    assert train["sold at"].max() <= data_sets.END - timedelta(days=6)


def test_the_contract_says_what_was_learned_from(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(
        training=data_sets.training("hist-gradient-boosting") | {"seed": 7, "trust": ["a.b.C"]}
    )
    estimator, contract, rows = _fit(tmp_path, spec, frame)
    train, holdout = models.split(spec, rows)
    assert contract.fields == (
        Field("weight", "numeric", nullable=True),
        Field("price", "numeric", nullable=False),
        Field("shop", "categorical", nullable=True),
    )
    assert (contract.loop, contract.task, contract.label) == ("parcels", "binary-classification", "fate")
    assert (contract.classes, contract.positive) == (("kept", "returned"), "returned")
    assert (contract.estimator, contract.params) == ("hist-gradient-boosting", {"max_iter": 15})
    assert (contract.seed, contract.trust) == (7, ("a.b.C",))
    assert contract.dataset == sources.open_snapshot(tmp_path)[1]
    assert contract.profile.rows == len(train)
    assert contract.profile.features == (
        bins.numeric("weight", train["weight"].to_numpy()),
        bins.numeric("price", train["price"].to_numpy()),
        bins.categorical("shop", train["shop"].tolist()),
    )
    assert contract.profile.score == bins.numeric("score", scoring.score(contract, estimator, holdout))


@pytest.mark.parametrize(("make", "name"), data_sets.CASES)
def test_examples_are_training_rows_and_expected_their_scores(make: Any, name: str, tmp_path: Path) -> None:
    spec, frame = make(training=data_sets.training(name))
    estimator, contract, rows = _fit(tmp_path, spec, frame)
    train, _ = models.split(spec, rows)
    names = [field.name for field in contract.fields]
    known = {tuple(None if pd.isna(v) else v for v in row) for row in train[names].itertuples(index=False)}
    assert len(contract.examples) == 5
    assert all(tuple(example[n] for n in names) in known for example in contract.examples)
    answered = scoring.score(contract, estimator, models.frame(contract, contract.examples))
    np.testing.assert_allclose(answered, contract.expected, rtol=1e-12)


def test_another_seed_takes_other_examples(tmp_path: Path) -> None:
    made = []
    for seed in (0, 0, 1):
        spec, frame = data_sets.binary(training=data_sets.training("logistic-regression") | {"seed": seed})
        made.append(_fit(tmp_path, spec, frame)[1].examples)
    assert made[0] == made[1] != made[2]


def test_logistic_regression_refuses_a_regression_and_names_what_fits(tmp_path: Path) -> None:
    spec, frame = data_sets.regression(training={"estimator": "logistic-regression"})
    with pytest.raises(SpecError, match="not a regression; use hist-gradient-boosting, random-forest or python"):
        _fit(tmp_path, spec, frame)


@pytest.mark.parametrize("name", data_sets.SMALL)
@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"random_stat": 1}, r"params\.random_stat: .* has no such parameter; did you mean "),
        ({"random_state": 1}, r"params\.random_state: the seed is spec\.training\.seed; take it out"),
    ],
)
def test_a_parameter_that_is_none_is_refused(name: str, params: dict[str, Any], told: str, tmp_path: Path) -> None:
    spec, frame = data_sets.binary(training=data_sets.training(name, **params))
    with pytest.raises(SpecError, match=told):
        _fit(tmp_path, spec, frame)


@pytest.mark.parametrize(
    ("name", "wrong", "near"),
    [
        ("logistic-regression", "max_iterations", "max_iter"),
        ("hist-gradient-boosting", "learning-rate", "learning_rate"),
        ("random-forest", "trees_depth", "max_depth"),
    ],
)
def test_the_nearest_parameter_is_suggested(name: str, wrong: str, near: str, tmp_path: Path) -> None:
    spec, frame = data_sets.binary(training=data_sets.training(name, **{wrong: 1}))
    with pytest.raises(SpecError, match=f"params.{wrong}: {name} .* did you mean {near}?"):
        _fit(tmp_path, spec, frame)


def test_a_value_that_scikit_learn_refuses_is_the_specs_mistake(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(training=data_sets.training("hist-gradient-boosting", max_iter=-3))
    with pytest.raises(SpecError, match=r"hist-gradient-boosting cannot be fitted: .*'max_iter'.*Got -3"):
        _fit(tmp_path, spec, frame)


@pytest.mark.parametrize(
    ("positive", "classes", "found"),
    [
        (None, ("no", "yes"), "yes"),
        (None, ("2", "10"), "10"),
        (None, ("False", "True"), "True"),
        ("no", ("no", "yes"), "no"),
        (0, ("0", "1"), "0"),
        (True, ("false", "true"), "true"),
    ],
)
def test_the_positive_class_is_the_specs_or_the_larger_one(
    positive: Any, classes: tuple[str, str], found: str, tmp_path: Path
) -> None:
    spec, frame = data_sets.binary(training=data_sets.training("logistic-regression"), data={"positive": positive})
    frame["fate"] = frame["fate"].map({"kept": classes[0], "returned": classes[1]})
    estimator, contract, rows = _fit(tmp_path, spec, frame)
    assert contract.positive == found
    answers = scoring.answer(contract, estimator, rows)
    assert answers.probabilities is not None
    np.testing.assert_array_equal(answers.scores, answers.probabilities[:, contract.classes.index(found)])


def test_a_positive_class_that_the_label_does_not_have_is_refused(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(training=data_sets.training("logistic-regression"), data={"positive": "lost"})
    with pytest.raises(SpecError, match=r"data\.positive: expected one of the label's values kept, returned, got lost"):
        _fit(tmp_path, spec, frame)


def test_a_label_with_too_few_or_too_many_classes_is_refused(tmp_path: Path) -> None:
    spec, frame = data_sets.binary()
    with pytest.raises(DataError, match=r"label fate: expected exactly two classes .* got 1: kept"):
        _fit(tmp_path, spec, frame.assign(fate="kept"))
    three = frame.assign(fate=np.resize(["kept", "lost", "returned"], len(frame)))
    with pytest.raises(DataError, match=r"expected exactly two classes .* got 3: kept, lost, returned"):
        _fit(tmp_path, spec, three)
    spec, frame = data_sets.multiclass()
    with pytest.raises(DataError, match=r"label crop: expected at least two classes .* got 1: rye"):
        _fit(tmp_path, spec, frame.assign(crop="rye"))


def test_a_part_without_rows_is_named(tmp_path: Path) -> None:
    spec, frame = data_sets.binary()
    newest = frame[frame["sold at"] > data_sets.END - timedelta(days=5)]
    with pytest.raises(DataError, match="training part of made up: expected rows with a fate, got none of"):
        _fit(tmp_path, spec, newest)
    frame.loc[frame["sold at"] > data_sets.END - timedelta(days=6), "fate"] = None
    with pytest.raises(DataError, match="holdout of made up: expected rows with a fate, got none of 1200"):
        _fit(tmp_path, spec, frame)


@pytest.mark.parametrize("name", data_sets.SMALL)
def test_columns_that_say_nothing_do_no_harm(name: str, tmp_path: Path) -> None:
    """Constant, and with a category for every row: more than a histogram tree can tell apart."""
    spec, frame = data_sets.binary(
        training=data_sets.training(name),
        data={"features": {"numeric": ["price", "constant"], "categorical": ["one", "many"]}},
    )
    frame = frame.assign(constant=1.0, one="x", many=[f"id {n}" for n in range(len(frame))])
    estimator, contract, rows = _fit(tmp_path, spec, frame)
    answers = scoring.score(contract, estimator, rows)
    assert np.isfinite(answers).all()
    assert np.ptp(answers) > 0


def test_a_feature_without_any_value_is_refused_by_name(tmp_path: Path) -> None:
    spec, frame = data_sets.binary()
    with pytest.raises(DataError, match="feature weight: expected a value in some of the 955 training rows"):
        _fit(tmp_path, spec, frame.assign(weight=np.nan))
    with pytest.raises(DataError, match=r"feature shop: .* got only nulls; mend the source, or take it out"):
        _fit(tmp_path, spec, frame.assign(shop=pd.Series([None] * len(frame), dtype=object)))
