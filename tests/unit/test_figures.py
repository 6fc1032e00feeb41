from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from serinus.stats import figures
from serinus.stats.figures import Classified, Regressed

RNG = np.random.default_rng(4)
ROWS = 400


def classified(classes: int, rounded: bool, positive: int = 1) -> Classified:
    truth = RNG.integers(0, classes, ROWS)
    raw = RNG.dirichlet([1.0] * classes, ROWS) + 0.8 * np.eye(classes)[truth]
    if rounded:
        raw = raw.round(1) + 0.05  # ties in the order of the scores
    return Classified(truth.astype(np.intp), raw / raw.sum(axis=1, keepdims=True), positive)


def sklearns(name: str, answers: Classified, weights: np.ndarray | None = None) -> float:  # type: ignore[type-arg]
    yes, score = answers.truth == answers.positive, answers.probabilities[:, answers.positive]
    labels, w = list(range(answers.classes)), {"sample_weight": weights}
    binary = answers.classes == 2
    f1 = {"pos_label": answers.positive} if binary else {"average": "macro"}
    return float(
        {
            "roc_auc": lambda: (
                metrics.roc_auc_score(yes, score, **w)
                if binary
                else np.mean(
                    [metrics.roc_auc_score(answers.truth == k, answers.probabilities[:, k], **w) for k in labels]
                )
            ),
            "average_precision": lambda: metrics.average_precision_score(yes, score, **w),
            "log_loss": lambda: metrics.log_loss(answers.truth, answers.probabilities, labels=labels, **w),
            "brier": lambda: metrics.brier_score_loss(yes, score, **w),
            "accuracy": lambda: metrics.accuracy_score(answers.truth, answers.predicted, **w),
            "balanced_accuracy": lambda: metrics.balanced_accuracy_score(answers.truth, answers.predicted, **w),
            "f1": lambda: metrics.f1_score(answers.truth, answers.predicted, **f1, **w),
        }[name]()
    )


BINARY = ["roc_auc", "average_precision", "log_loss", "brier", "accuracy", "balanced_accuracy", "f1"]
MULTICLASS = ["roc_auc", "log_loss", "accuracy", "balanced_accuracy", "f1"]


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize(
    ("name", "classes", "positive"),
    [*((n, 2, 1) for n in BINARY), *((n, 2, 0) for n in BINARY), *((n, 3, 1) for n in MULTICLASS)],
)
def test_figures_are_scikit_learns_with_any_weights(name: str, classes: int, positive: int, rounded: bool) -> None:
    answers = classified(classes, rounded, positive)
    weights = np.stack([np.ones(ROWS), np.bincount(RNG.integers(0, ROWS, ROWS), minlength=ROWS)]).astype(float)
    found = figures.figure(name, answers)(weights)
    assert found.tolist() == pytest.approx([sklearns(name, answers, w) for w in weights], abs=1e-9)
    assert figures.value(name, answers) == pytest.approx(sklearns(name, answers), abs=1e-9)


@pytest.mark.parametrize("name", ["rmse", "mae", "r2"])
def test_figures_of_regression_are_scikit_learns_with_any_weights(name: str) -> None:
    truth = RNG.normal(1000, 3, ROWS)
    answers = Regressed(truth, truth + RNG.normal(size=ROWS))
    weights = np.stack([np.ones(ROWS), np.bincount(RNG.integers(0, ROWS, ROWS), minlength=ROWS)]).astype(float)
    theirs = {
        "rmse": metrics.root_mean_squared_error,
        "mae": metrics.mean_absolute_error,
        "r2": metrics.r2_score,
    }[name]
    expected = [theirs(truth, answers.predicted, sample_weight=w) for w in weights]
    assert figures.figure(name, answers)(weights).tolist() == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=25))
@settings(max_examples=60)
def test_a_figure_of_weights_is_that_of_the_rows_repeated(rows: list[tuple[bool, int]]) -> None:
    truth = np.array([int(t) for t, _ in rows], dtype=np.intp)
    score = np.array([s for _, s in rows]) / 4
    answers = Classified(truth, np.stack([1 - score, score], axis=1))
    counts = np.arange(truth.size) % 3
    repeated = figures.select(answers, np.repeat(np.arange(truth.size), counts))
    if repeated.truth.size:
        for name in ("roc_auc", "average_precision", "accuracy", "balanced_accuracy"):
            weighted = float(figures.figure(name, answers)(counts[None, :].astype(float))[0])
            assert weighted == pytest.approx(figures.value(name, repeated), nan_ok=True)


def test_figures_that_one_class_or_one_value_does_not_define_are_not_numbers() -> None:
    one = Classified(np.zeros(5, dtype=np.intp), np.full((5, 2), 0.5))
    assert np.isnan(figures.value("roc_auc", one))
    assert np.isnan(figures.value("average_precision", one))
    assert np.isnan(figures.value("r2", Regressed(np.ones(5), np.zeros(5))))
    assert np.isnan(figures.figure("f1", one)(np.zeros((1, 5)))[0])
    assert figures.roc(np.zeros(5, dtype=bool), np.arange(5.0)) == ()


@pytest.mark.parametrize("name", BINARY)
def test_an_answer_that_is_not_a_number_leaves_no_figure(name: str) -> None:
    """Sorting would give NaN the highest rank, and so an AUC."""
    answers = classified(2, rounded=False)
    answers.probabilities[3] = np.nan
    assert np.isnan(figures.value(name, answers))


def test_an_infinite_prediction_leaves_no_figure() -> None:
    assert np.isnan(figures.value("mae", Regressed(np.ones(3), np.array([1.0, np.inf, 1.0]))))


def test_confusion_counts_truth_in_rows() -> None:
    answers = classified(3, rounded=False)
    expected = metrics.confusion_matrix(answers.truth, answers.predicted)
    assert figures.confusion(answers).tolist() == expected.tolist()


def test_the_roc_curve_is_scikit_learns_and_is_thinned_with_both_ends_kept() -> None:
    answers = classified(2, rounded=True)
    truth, score = answers.truth == 1, answers.probabilities[:, 1]
    whole = figures.roc(truth, score, points=10_000)
    alarms, hits, thresholds = metrics.roc_curve(truth, score, drop_intermediate=False)
    assert [p[0] for p in whole] == pytest.approx(alarms.tolist())
    assert [p[1] for p in whole] == pytest.approx(hits.tolist())
    assert [p[2] for p in whole[1:]] == pytest.approx(thresholds[1:].tolist())
    thin = figures.roc(truth, score + RNG.random(ROWS) / 100, points=20)
    assert len(thin) == 20
    assert (thin[0][:2], thin[-1][:2]) == ((0.0, 0.0), (1.0, 1.0))
    assert list(thin) == sorted(thin, key=lambda p: (p[0], p[1]))


def test_the_trivial_answer_is_learned_from_training_rows_only() -> None:
    train = Classified(np.array([0, 0, 0, 1]), np.zeros((4, 2)))
    judged = Classified(np.array([1, 1, 0]), np.full((3, 2), 0.5))
    prior = figures.trivial("log_loss", judged, train)
    assert isinstance(prior, Classified)
    assert prior.probabilities.tolist() == [[0.75, 0.25]] * 3
    assert figures.value("accuracy", prior) == pytest.approx(1 / 3)
    always = figures.trivial("f1", judged, train)
    assert figures.value("f1", always) == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))
    taught = Regressed(np.array([0.0, 0.0, 9.0]), np.zeros(3))
    judged_numbers = Regressed(np.array([1.0, 2.0]), np.zeros(2))
    mean, median = (figures.trivial(name, judged_numbers, taught) for name in ("rmse", "mae"))
    assert isinstance(mean, Regressed)
    assert isinstance(median, Regressed)
    assert (mean.predicted.tolist(), median.predicted.tolist()) == ([3.0, 3.0], [0.0, 0.0])


def test_selected_rows_keep_their_answers() -> None:
    rows = np.array([True, False, True])
    numbers = figures.select(Regressed(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])), rows)
    assert isinstance(numbers, Regressed)
    assert (numbers.truth.tolist(), numbers.predicted.tolist()) == ([1.0, 3.0], [4.0, 6.0])
