from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus.stats import figures
from serinus.stats.paired import auc, bootstrap, delong, midranks

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def scored(seed: int, rows: int, ties: bool = False) -> tuple[Bools, Floats, Floats]:
    """Labels and two correlated scores."""
    rng = np.random.default_rng(seed)
    truth = rng.random(rows) < 0.4
    shared = rng.normal(size=rows) + truth
    first, second = shared + rng.normal(size=rows), shared + 1.5 * rng.normal(size=rows)
    return (truth, first.round(1), second.round(1)) if ties else (truth, first, second)


def kernel(truth: Bools, scores: Floats) -> Floats:
    """psi(positive, negative) of the Mann-Whitney statistic, every pair."""
    positive, negative = scores[truth][:, None], scores[~truth][None, :]
    return np.asarray((positive > negative) + 0.5 * (positive == negative), dtype=np.float64)


@pytest.mark.parametrize("ties", [False, True])
def test_delong_is_what_the_paper_defines_pair_by_pair(ties: bool) -> None:
    truth, first, second = scored(1, 300, ties)
    one, two = kernel(truth, first), kernel(truth, second)
    # DeLong et al. (1988): covariance matrices of the structural components V10 (rows) and V01 (columns).
    tens = np.cov(np.stack([one.mean(axis=1), two.mean(axis=1)]))
    ones = np.cov(np.stack([one.mean(axis=0), two.mean(axis=0)]))
    covariance = tens / truth.sum() + ones / (~truth).sum()
    contrast = np.array([1.0, -1.0])
    found = delong(truth, first, second, 0.95)
    assert found.difference == pytest.approx(one.mean() - two.mean(), abs=1e-12)
    assert found.error == pytest.approx(np.sqrt(contrast @ covariance @ contrast), abs=1e-12)
    assert found.high - found.low == pytest.approx(2 * 1.959963984540054 * found.error)
    assert found.low + found.high == pytest.approx(2 * found.difference)


def test_delong_covers_the_true_difference_as_often_as_it_says() -> None:
    """Two scores of known AUC: shift d between normals of variance v gives AUC = Phi(d / sqrt(2 v))."""
    from statistics import NormalDist

    rng, rounds, rows = np.random.default_rng(7), 600, 200
    real = NormalDist().cdf(1 / np.sqrt(2 * 2.0)) - NormalDist().cdf(1 / np.sqrt(2 * 3.25))
    covered = 0
    for _ in range(rounds):
        truth = np.arange(rows) < 80
        shared = rng.normal(size=rows) + truth
        found = delong(truth, shared + rng.normal(size=rows), shared + 1.5 * rng.normal(size=rows), 0.9)
        covered += found.low <= real <= found.high
    assert 0.865 <= covered / rounds <= 0.935  # 0.9, three standard errors of 600 rounds each way


def test_the_bootstrap_of_a_mean_agrees_with_theory_and_covers() -> None:
    rng, rounds, rows = np.random.default_rng(3), 200, 150
    covered = 0
    for _ in range(rounds):
        truth = rng.normal(size=rows)
        noise = rng.normal(size=rows)
        one = figures.figure("mae", figures.Regressed(truth, truth + noise))
        two = figures.figure("mae", figures.Regressed(truth, truth + 0.8 * noise + 0.4 * rng.normal(size=rows)))
        found = bootstrap(one, two, rows, rng=rng, confidence=0.9, replicates=300)
        # E|N(0, s)| = s sqrt(2 / pi)
        real = np.sqrt(2 / np.pi) * (1 - np.sqrt(0.64 + 0.16))
        covered += found.low <= real <= found.high
    assert 0.83 <= covered / rounds <= 0.96


def test_the_bootstrap_of_an_auc_has_delongs_width() -> None:
    truth, first, second = scored(5, 2000)
    exact = delong(truth, first, second)
    ready = [
        figures.figure("roc_auc", figures.Classified(truth.astype(np.intp), np.stack([-s, s], axis=1)))
        for s in (first, second)
    ]
    found = bootstrap(ready[0], ready[1], 2000, rng=np.random.default_rng(0))
    assert found.difference == pytest.approx(exact.difference, abs=1e-12)
    assert found.error == pytest.approx(exact.error, rel=0.1)
    assert [found.low, found.high] == pytest.approx([exact.low, exact.high], abs=0.15 * exact.error)


cases = st.integers(8, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n - 4, max_size=n - 4).map(lambda ls: [True, True, False, False, *ls]),
        st.lists(st.integers(0, 9), min_size=n, max_size=n),
        st.lists(st.integers(0, 9), min_size=n, max_size=n),
    )
)


@given(cases)
def test_delong_turned_round_changes_only_the_sign(case: tuple[list[bool], list[int], list[int]]) -> None:
    truth, first, second = np.array(case[0]), np.array(case[1], float), np.array(case[2], float)
    there, back = delong(truth, first, second), delong(truth, second, first)
    assert back.difference == pytest.approx(-there.difference, abs=1e-12)
    assert [back.low, back.high] == pytest.approx([-there.high, -there.low], abs=1e-12)
    assert there.difference == pytest.approx(auc(truth, first) - auc(truth, second), abs=1e-12)


@given(cases)
def test_a_model_against_itself_differs_by_exactly_nothing(case: tuple[list[bool], list[int], list[int]]) -> None:
    truth, scores = np.array(case[0]), np.array(case[1], float)
    same = delong(truth, scores, np.asarray(3 * scores + 1, dtype=np.float64))  # AUC knows the order only
    assert (same.difference, same.low, same.high, same.error) == (0.0, 0.0, 0.0, 0.0)
    ready = figures.figure("mae", figures.Regressed(truth.astype(float), scores))
    drawn = bootstrap(ready, ready, truth.size, rng=np.random.default_rng(0), replicates=20)
    assert (drawn.difference, drawn.low, drawn.high, drawn.error) == (0.0, 0.0, 0.0, 0.0)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_the_bootstrap_turned_round_changes_only_the_sign(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, said, other = rng.normal(size=(3, 40))
    one = figures.figure("rmse", figures.Regressed(truth, said))
    two = figures.figure("rmse", figures.Regressed(truth, other))
    there = bootstrap(one, two, 40, rng=np.random.default_rng(seed), replicates=50)
    back = bootstrap(two, one, 40, rng=np.random.default_rng(seed), replicates=50)
    assert (back.difference, back.low, back.high) == pytest.approx((-there.difference, -there.high, -there.low))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_midranks_are_scipys(values: list[int]) -> None:
    from scipy.stats import rankdata

    assert midranks(np.array(values, float)).tolist() == rankdata(values).tolist()


def test_the_auc_of_one_class_is_not_a_number() -> None:
    assert np.isnan(auc(np.array([True, True]), np.array([0.1, 0.2])))
    assert np.isnan(auc(np.array([False]), np.array([0.1])))


def test_delong_refuses_what_it_cannot_judge() -> None:
    truth = np.array([True, False, False])
    with pytest.raises(ValueError, match="at least 2 rows of each class, got 1 positive, 2 negative"):
        delong(truth, np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match="got 2 that are NaN or infinite"):
        delong(np.array([True, True, False, False]), np.array([0, np.nan, 1, np.inf]), np.zeros(4))


def test_the_bootstrap_refuses_a_figure_that_most_draws_do_not_define() -> None:
    one = figures.Classified(np.array([0] * 30 + [1]), np.full((31, 2), 0.5))
    ready = figures.figure("roc_auc", one)
    with pytest.raises(ValueError, match="a class is too rare"):
        bootstrap(ready, ready, 31, rng=np.random.default_rng(0), replicates=100)
    with pytest.raises(ValueError, match="at least 2 rows, got 1"):
        bootstrap(ready, ready, 1, rng=np.random.default_rng(0))


def test_draws_without_a_rare_class_are_left_out() -> None:
    rng = np.random.default_rng(2)
    truth = np.array([0] * 60 + [1] * 4)
    scores = rng.random((2, 64))
    ready = [figures.figure("roc_auc", figures.Classified(truth, np.stack([1 - s, s], axis=1))) for s in scores]
    found = bootstrap(ready[0], ready[1], 64, rng=rng, replicates=400)  # e^-4 of the draws have no positive row
    assert found.low < found.difference < found.high


def test_both_are_quick_on_fifty_thousand_rows() -> None:
    truth, first, second = scored(1, 50_000)
    began = time.process_time()
    delong(truth, first, second)
    assert time.process_time() - began < 0.5
    ready = [
        figures.figure("average_precision", figures.Classified(truth.astype(np.intp), np.stack([-s, s], axis=1)))
        for s in (first, second)
    ]
    began = time.process_time()
    bootstrap(ready[0], ready[1], 50_000, rng=np.random.default_rng(0))
    assert time.process_time() - began < 6  # some 1.4 s on an idle core
