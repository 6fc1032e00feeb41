"""Figures of production from counts alone, held to scikit-learn's on the rows themselves."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from serinus.facts import Cell, ErrorSums, Measured, Tally, Window
from serinus.stats import calibration, quality

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


def scored(rows: int = 4000, seed: int = 1) -> tuple[list[str], list[str], npt.NDArray[np.float64]]:
    """(truth, answer, P(late)) of a calibrated classifier."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(1.2, 2.5, rows)
    truth = np.where(rng.random(rows) < scores, "late", "on time")
    return truth.tolist(), np.where(scores > 0.5, "late", "on time").tolist(), scores


def classes(rows: int = 3000, seed: int = 2) -> tuple[list[str], list[str], npt.NDArray[np.float64]]:
    """(truth, answer, confidence) of three classes."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1])
    sure = rng.uniform(0.4, 1, rows)
    answer = np.where(rng.random(rows) < sure, truth, rng.choice(["a", "b", "c"], rows))
    return truth.tolist(), answer.tolist(), sure


def test_figures_of_two_classes_are_scikit_learns() -> None:
    truth, answers, scores = scored()
    found = quality.classified(quality.cells(truth, answers, scores), "late")
    late = np.array(truth) == "late"
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(truth, answers), abs=1e-12)
    assert found["precision"].value == pytest.approx(
        metrics.precision_score(truth, answers, pos_label="late"), abs=1e-12
    )
    assert found["recall"].value == pytest.approx(metrics.recall_score(truth, answers, pos_label="late"), abs=1e-12)
    assert found["f1"].value == pytest.approx(metrics.f1_score(truth, answers, pos_label="late"), abs=1e-12)
    assert found["brier"].value == pytest.approx(metrics.brier_score_loss(late, scores), abs=1e-12)
    assert found["roc_auc"].value == pytest.approx(metrics.roc_auc_score(late, scores), abs=5e-4)
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(late, scores.clip(0.005, 0.995)), abs=5e-4)
    assert {f.rows for name, f in found.items() if name in ("accuracy", "brier", "roc_auc", "log_loss")} == {4000}


def test_figures_of_several_classes_are_scikit_learns_macro_averages() -> None:
    truth, answers, sure = classes()
    found = quality.classified(quality.cells(truth, answers, sure), None)
    assert set(found) == {"accuracy", "precision", "recall", "f1"}
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(truth, answers), abs=1e-12)
    for name, of in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        assert found[name].value == pytest.approx(of(truth, answers, average="macro"), abs=1e-12)


def test_a_class_that_is_never_answered_or_never_true_counts_zero_as_scikit_learn_counts_it() -> None:
    truth, answers = ["a", "a", "b", "c"], ["a", "b", "b", "d"]
    found = quality.classified(quality.cells(truth, answers, np.full(4, 0.5)), None)
    for name, of in (("precision", metrics.precision_score), ("recall", metrics.recall_score)):
        assert found[name].value == pytest.approx(of(truth, answers, average="macro", zero_division=0), abs=1e-12)


def test_figures_of_a_regression_are_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    truth, predicted = rng.normal(10, 3, (2, 5000))
    found = quality.regressed(quality.errors(predicted, truth))
    assert found["mae"].value == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    assert found["rmse"].value == pytest.approx(metrics.root_mean_squared_error(truth, predicted))
    assert found["bias"].value == pytest.approx(float((predicted - truth).mean()))


@cache
def many(positive: str | None) -> tuple[dict[str, Measured], list[dict[str, Measured]]]:
    """Figures of very many rows, and of 250 times 300."""
    make = scored if positive is not None else classes
    few = [quality.classified(quality.cells(*make(300, seed)), positive) for seed in range(1, 251)]
    return quality.classified(quality.cells(*make(100_000, 0)), positive), few


@pytest.mark.parametrize(
    ("metric", "positive"),
    [(metric, "late") for metric in ("accuracy", "precision", "recall", "f1", "roc_auc", "brier", "log_loss")]
    + [(metric, None) for metric in ("accuracy", "precision", "recall", "f1")],
)
def test_intervals_hold_the_true_value_about_19_times_in_20(metric: str, positive: str | None) -> None:
    true, found = many(positive)[0][metric].value, [figures[metric] for figures in many(positive)[1]]
    assert 0.91 <= np.mean([f.low <= true <= f.high for f in found]) <= 0.99
    assert np.std([f.value for f in found]) == pytest.approx(float(np.mean([f.error for f in found])), rel=0.15)


@pytest.mark.parametrize(("metric", "true"), [("rmse", 2.0), ("mae", 2 * math.sqrt(2 / math.pi)), ("bias", 0.0)])
def test_intervals_of_a_regression_hold_the_true_value_about_19_times_in_20(metric: str, true: float) -> None:
    rng = np.random.default_rng(4)
    found = [quality.regressed(quality.errors(rng.normal(0, 2, 300), np.zeros(300)))[metric] for _ in range(400)]
    assert 0.92 <= np.mean([f.low <= true <= f.high for f in found]) <= 0.98


def test_a_shares_interval_is_wilsons() -> None:
    for hits, rows in ((0, 5), (3, 7), (5, 5), (880, 1000)):
        found, theirs = quality.share(hits, rows), stats.binomtest(hits, rows).proportion_ci(method="wilson")
        assert found is not None
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert quality.share(0, 0) is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 99)), min_size=1, max_size=60))
def test_the_binned_roc_auc_is_that_of_the_bins(rows: list[tuple[str, int]]) -> None:
    truth, places = [t for t, _ in rows], np.array([b for _, b in rows])
    found = quality.classified(quality.cells(truth, ["a"] * len(rows), (places + 0.5) / 100), "a").get("roc_auc")
    if min(truth.count("a"), truth.count("b")) < 2:
        assert found is None
    else:
        assert found is not None
        assert found.value == pytest.approx(metrics.roc_auc_score([t == "a" for t in truth], places))
        assert 0 <= found.low <= found.value <= found.high <= 1
        assert found.low < found.high


def test_the_error_of_the_roc_auc_is_delongs() -> None:
    truth, answers, scores = scored(600)
    found = quality.classified(quality.cells(truth, answers, scores), "late")["roc_auc"]
    late, binned = np.array(truth) == "late", np.floor(scores * 100)
    beats = (binned[late][:, None] > binned[~late]) + (binned[late][:, None] == binned[~late]) / 2
    variance = beats.mean(axis=1).var(ddof=1) / late.sum() + beats.mean(axis=0).var(ddof=1) / (~late).sum()
    assert found.error == pytest.approx(math.sqrt(variance))


def test_rows_without_a_label_count_for_nothing_but_the_share_that_is_missing() -> None:
    truth, answers, scores = scored(500)
    labelled = quality.cells(truth, answers, scores)
    late = (*labelled, *quality.cells([None] * 300, ["late"] * 300, np.full(300, 0.99)))
    assert quality.classified(late, "late") == quality.classified(labelled, "late")
    missing = quality.missing(Tally(1, WINDOW, 800, 500, late))
    assert missing is not None
    assert missing.value == 300 / 800
    assert missing.low < 300 / 800 < missing.high
    assert quality.missing(Tally(1, WINDOW, 0, 0)) is None


def test_what_is_not_defined_is_left_out() -> None:
    assert quality.classified([], "late") == {}
    assert quality.classified([], None) == {}
    assert quality.regressed(ErrorSums()) == {}
    never = quality.classified(quality.cells(["no"] * 9, ["no"] * 9, np.full(9, 0.1)), "yes")
    assert set(never) == {"accuracy", "brier", "log_loss"}
    assert quality.regressed(quality.errors(np.ones(3), np.ones(3)))["rmse"].error == 0


def test_one_figure_of_a_tally_is_the_one_of_all_of_them() -> None:
    truth, answers, scores = scored(500)
    cells, sums = quality.cells(truth, answers, scores), quality.errors(scores, np.zeros(500))
    counted = Tally(1, WINDOW, 500, 500, cells)
    assert quality.measured("f1", counted, "late") == quality.classified(cells, "late")["f1"]
    assert quality.measured("rmse", Tally(1, WINDOW, 500, 500, errors=sums), None) == quality.regressed(sums)["rmse"]
    assert quality.measured("rmse", counted, "late") is None


def test_a_certain_mistake_costs_no_more_than_a_bin_can_say() -> None:
    found = quality.classified(quality.cells(["yes"] * 2, ["no"] * 2, np.array([0.0, 1e-12])), "yes")
    assert found["log_loss"].value == pytest.approx(-math.log(quality.LEAST))


def test_what_answers_are_worth_is_summed_over_labelled_rows_and_cells_that_are_named() -> None:
    cells = (
        Cell("late", "late", 80, 3, 2.4, 1.9),
        Cell("late", "on time", 10, 1, 0.1, 0.01),
        Cell(None, "late", 80, 9, 7.0, 6.0),
    )
    found = quality.worth(cells, {"late": {"late": 10.0, "on time": -50.0}, "on time": {"late": -2.0}})
    assert found is not None
    assert (found.value * found.rows, found.rows) == (-20.0, 4)
    assert found.error == pytest.approx(np.std([10, 10, 10, -50]) / 2)
    assert quality.worth(cells[2:], {}) is None
    assert quality.worth(cells, {}) is not None


def test_cells_put_the_score_one_into_the_last_bin_and_keep_sums() -> None:
    found = quality.cells(["a", "a", None], ["b", "b", "b"], np.array([1.0, 0.995, 0.5]))
    assert found == (Cell(None, "b", 50, 1, 0.5, 0.25), Cell("a", "b", 99, 2, 1.995, 1 + 0.995**2))


def test_the_calibration_table_shows_shares_that_came_true_beside_the_scores() -> None:
    truth, answers, scores = scored(20_000)
    steps = calibration.table(quality.cells(truth, answers, scores), "late")
    assert [step.low for step in steps] == [i / 10 for i in range(10)]
    assert sum(step.hits.rows for step in steps) == 20_000
    assert sum(step.hits.low <= step.score <= step.hits.high for step in steps) >= 8
    found = calibration.expected_error(steps)
    assert found is not None
    assert found.value < 0.02


def test_overconfident_scores_have_the_calibration_error_that_they_were_made_with() -> None:
    truth = ["right"] * 700 + ["wrong"] * 300
    steps = calibration.table(quality.cells(truth, ["right"] * 1000, np.full(1000, 0.9)), None)
    assert len(steps) == 1
    found = calibration.expected_error(steps)
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert found.error == pytest.approx(math.sqrt(0.7 * 0.3 / 1000))
    assert calibration.expected_error(calibration.table([], None)) is None
