"""How good answers probably are before labels come, from scores that were checked on a holdout."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from serinus.facts import Cell
from serinus.stats import estimate, quality

Floats = npt.NDArray[np.float64]


def answered(rows: int, a: float, b: float, seed: int, honest: float = 1.0, labels: bool = True) -> tuple[Cell, ...]:
    """Scores from a beta distribution; the truth comes with the probability score ** `honest`."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(a, b, rows)
    truth = np.where(rng.random(rows) < scores**honest, "yes", "no").tolist()
    return quality.cells(truth if labels else [None] * rows, np.where(scores > 0.5, "yes", "no").tolist(), scores)


@pytest.mark.parametrize("honest", [1.0, 2.5])
def test_the_accuracy_of_moved_inputs_is_foreseen_even_from_scores_that_are_not_calibrated(honest: float) -> None:
    reference = answered(20_000, 2, 2, 1, honest)
    moved = answered(20_000, 1.5, 3, 2, honest)
    truth = quality.classified(moved, "yes")
    found = estimate.accuracy(reference, moved, "yes")
    ranked = estimate.roc_auc(reference, moved, "yes")
    assert found is not None
    assert ranked is not None
    before = quality.classified(reference, "yes")
    assert abs(truth["accuracy"].value - before["accuracy"].value) > 0.03
    assert abs(found.value - truth["accuracy"].value) < 0.015
    assert abs(ranked.value - truth["roc_auc"].value) < 0.015


def test_nobody_needs_to_label_what_is_estimated() -> None:
    reference = answered(5000, 2, 2, 1)
    known, unknown = (estimate.accuracy(reference, answered(900, 2, 3, 3, labels=x), "yes") for x in (True, False))
    assert known is not None
    assert unknown is not None
    assert known.value == pytest.approx(unknown.value, abs=1e-12)


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc"])
def test_the_interval_holds_what_turns_out_to_be_true_about_19_times_in_20(metric: str) -> None:
    held = []
    for seed in range(150):
        reference, window = answered(1500, 2, 2, 2 * seed), answered(800, 2, 3, 2 * seed + 1)
        of = estimate.accuracy if metric == "accuracy" else estimate.roc_auc
        found, truth = of(reference, window, "yes"), quality.classified(window, "yes")[metric].value
        assert found is not None
        held.append(found.low <= truth <= found.high)
    assert 0.9 <= np.mean(held) <= 0.995


def test_of_several_classes_the_score_says_how_likely_the_answer_is_right() -> None:
    rng = np.random.default_rng(5)

    def drawn(rows: int, low: float) -> tuple[Cell, ...]:
        sure = rng.uniform(low, 1, rows)
        answers = rng.choice(["a", "b", "c"], rows)
        truth = np.where(rng.random(rows) < sure, answers, "d")
        return quality.cells(truth.tolist(), answers.tolist(), sure)

    window = drawn(5000, 0.7)
    found = estimate.accuracy(drawn(5000, 0.4), window, None)
    assert found is not None
    assert found.value == pytest.approx(quality.classified(window, None)["accuracy"].value, abs=0.015)


def test_what_nobody_checked_is_not_estimated() -> None:
    window = answered(100, 2, 2, 1)
    assert estimate.accuracy((), window, "yes") is None
    assert estimate.roc_auc((), window, "yes") is None
    assert estimate.accuracy(answered(49, 2, 2, 1), window, "yes") is None
    assert estimate.accuracy(answered(50, 2, 2, 1), (), "yes") is None
    assert estimate.roc_auc(answered(50, 2, 2, 1), window[:1], "yes") is None


def test_few_expected_rows_of_a_class_still_have_an_interval() -> None:
    """Where the shares move a class below two expected rows, what they say of the error is left out."""
    reference = quality.cells(["yes"] * 96 + ["no"] * 4, ["yes"] * 100, np.full(100, 0.97))
    window = quality.cells([None] * 51, ["yes"] * 51, np.full(51, 0.97))
    found = estimate.roc_auc(reference, window, "yes")
    assert found is not None
    assert found.value == 0.5


def test_bins_are_joined_until_each_group_was_seen_often_enough() -> None:
    known = estimate.calibration(answered(1000, 2, 2, 1), "yes")
    assert known is not None
    assert (known.rows >= estimate.GROUP).all()
    assert known.parts.sum(axis=1) == pytest.approx(np.ones(100))
    likely = known.parts @ known.hit
    assert likely[10] < 0.3
    assert likely[90] > 0.7
