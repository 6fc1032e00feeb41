"""The laws of the sequential test, by exact enumeration where that can be done."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus.stats import sequential
from serinus.stats.sequential import Counts, Rates

inner = st.floats(0.001, 0.999)
margins = st.floats(0.001, 0.5)
small = st.integers(1, 4)
LESS, MORE = "canary <= stable + margin", "canary >= stable + margin"


def chances(rates: list[float]) -> np.ndarray:  # type: ignore[type-arg]
    """The distribution of the number of bad outcomes of independent requests, each with its own rate."""
    law = np.ones(1)
    for rate in rates:
        law = np.convolve(law, [1 - rate, rate])
    return law


def expectation(stable: list[float], canary: list[float], alternative: Rates, margin: float) -> float:
    pairs = product(enumerate(chances(stable)), enumerate(chances(canary)))
    return math.fsum(
        p * q * math.exp(sequential.log_factor(Counts(len(stable), k), Counts(len(canary), j), alternative, margin))
        for (k, p), (j, q) in pairs
    )


@settings(max_examples=300)
@given(st.data(), small, small, margins, inner, inner, st.sampled_from([LESS, MORE]))
def test_no_alternative_gains_on_average_at_any_point_of_its_null(
    data: st.DataObject, n: int, m: int, margin: float, stable: float, canary: float, null: str
) -> None:
    if null == LESS:
        alternative = Rates(stable * (1 - margin) * 0.999, 0.0)
        alternative = Rates(alternative.stable, data.draw(st.floats(alternative.stable + margin * 1.0001, 0.9999)))
        true = Rates(stable, data.draw(st.floats(0, min(1.0, stable + margin))))
    else:
        alternative = Rates(stable, data.draw(st.floats(0.0001, min(0.9999, stable + margin * 0.9999))))
        true_stable = canary * (1 - margin)
        true = Rates(true_stable, data.draw(st.floats(true_stable + margin, 1)))
    assert expectation([true.stable] * n, [true.canary] * m, alternative, margin) <= 1 + 1e-9


@settings(max_examples=150)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=5), st.lists(st.floats(0, 1), min_size=1, max_size=5), inner, margins
)
def test_rates_may_differ_from_request_to_request_as_long_as_their_means_keep_the_null(
    stable: list[float], canary: list[float], baseline: float, margin: float
) -> None:
    worse = np.mean(canary) - np.mean(stable) - margin
    bets = sequential.harms(baseline, margin) if worse <= 0 else sequential.safes(baseline, margin)
    for alternative in bets:
        assert expectation(stable, canary, alternative, margin) <= 1 + 1e-9


@given(small, small, st.floats(0.01, 0.9), margins, st.floats(0.01, 0.99))
def test_the_projection_is_the_nearest_point_of_the_line_and_is_gained_nothing_on(
    n: int, m: int, stable: float, margin: float, canary: float
) -> None:
    alternative = Rates(stable, canary)
    x = sequential.project(n, m, alternative, margin)

    def distance(at: float) -> float:
        pairs = ((n, stable, at), (m, canary, at + margin))
        return sum(k * (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))) for k, p, q in pairs)

    others = np.linspace(0, 1 - margin, 203)[1:-1]
    assert distance(x) <= min(distance(float(o)) for o in others) + 1e-12
    assert expectation([x] * n, [x + margin] * m, alternative, margin) == pytest.approx(1, abs=1e-9)


@given(st.integers(0, 5), st.floats(0, 0.2), st.floats(0.25, 0.9))
def test_one_arm_against_a_bound_gains_nothing_on_average_under_it(n: int, rate: float, alternative: float) -> None:
    mean = math.fsum(
        p * math.exp(sequential.log_factor_against(Counts(n, k), alternative, 0.2))
        for k, p in enumerate(chances([rate] * n))
    )
    assert mean <= 1 + 1e-12


def test_an_alternative_under_the_bound_bets_nothing() -> None:
    assert sequential.log_factor_against(Counts(10, 10), 0.2, 0.2) == 0
    assert sequential.log_factor_against(Counts(10, 10), 1 - 1e-9, 1.0) == 0


@given(inner, margins, st.integers(0, 50))
def test_a_block_in_which_an_arm_had_no_traffic_says_nothing(baseline: float, margin: float, bad: int) -> None:
    for alternative in (*sequential.harms(baseline, margin), *sequential.safes(baseline, margin)):
        assert sequential.log_factor(Counts(0, 0), Counts(50, bad), alternative, margin) == 0
        assert sequential.log_factor(Counts(50, bad), Counts(0, 0), alternative, margin) == 0


@given(inner, st.floats(0.001, 0.2), st.integers(1, 200), st.integers(1, 200), st.data())
def test_a_worse_canary_is_more_harm_and_less_safety(
    baseline: float, margin: float, n: int, m: int, data: st.DataObject
) -> None:
    bad, worse = sorted((data.draw(st.integers(0, m)), data.draw(st.integers(0, m))))
    stable = Counts(n, data.draw(st.integers(0, n)))

    def factor(alternative: Rates, count: int) -> float:
        return sequential.log_factor(stable, Counts(m, count), alternative, margin)

    for alternative in sequential.harms(baseline, margin):
        assert factor(alternative, bad) <= factor(alternative, worse) + 1e-9
    for alternative in sequential.safes(baseline, margin):
        assert factor(alternative, bad) >= factor(alternative, worse) - 1e-9


@given(st.floats(0, 1), st.floats(0.0001, 0.999))
def test_alternatives_lie_on_their_side_of_the_line_and_strictly_inside(baseline: float, margin: float) -> None:
    for alternative in sequential.harms(baseline, margin):
        assert alternative.canary > alternative.stable + margin
    for alternative in sequential.safes(baseline, margin):
        assert alternative.canary < alternative.stable + margin
    for rate in (*sum(sequential.harms(baseline, margin), ()), *sum(sequential.safes(baseline, margin), ())):
        assert 0 < rate < 1
    assert len(sequential.harms(baseline, margin)) == sequential.HARMS


@pytest.mark.parametrize("stable", [Counts(10**9, 0), Counts(10**9, 10**9), Counts(1, 0), Counts(1, 1)])
@pytest.mark.parametrize("canary", [Counts(10**9, 0), Counts(10**9, 10**9), Counts(1, 0), Counts(1, 1)])
@pytest.mark.parametrize("baseline", [0.0, 1e-6, 0.5, 1.0])
def test_huge_and_one_sided_counts_stay_finite(stable: Counts, canary: Counts, baseline: float) -> None:
    for alternative in (*sequential.harms(baseline, 0.01), *sequential.safes(baseline, 0.01)):
        assert math.isfinite(sequential.log_factor(stable, canary, alternative, 0.01))


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.integers(0, 10**6), st.integers(0, 10**6))
def test_wealth_only_moves_between_bets(logs: list[float], before: int, trials: int) -> None:
    wealth = (*logs, -1.0)
    moved = sequential.bet(wealth, [0.0, 0.0, 0.0], before, before + trials)
    assert sequential.total(moved) == pytest.approx(sequential.total(wealth), abs=1e-9)
    assert moved[-1] <= wealth[-1]


def test_a_stake_is_one_and_a_factor_multiplies_its_own_bet_up_to_the_most_that_counts() -> None:
    stake = sequential.stake([1, 1, 2, 4])
    assert sequential.total(stake) == pytest.approx(0)
    assert [part - stake[0] for part in stake[:-1]] == pytest.approx([0, 0, math.log(2), math.log(4)])
    grown = sequential.bet(stake, [1.0, 2.0, 9.0, -1.0], 0, 0, most=3.0)
    assert [g - s for g, s in zip(grown, stake, strict=True)] == pytest.approx([1, 2, 3, -1, 0])


def test_wealth_that_is_thrown_away_is_taken_from_all_parts_alike() -> None:
    assert sequential.limited((1.0, 0.0), 5.0) == (1.0, 0.0)
    less = sequential.limited((1.0, 0.0), 0.5)
    assert sequential.total(less) == pytest.approx(0.5)
    assert less[0] - less[1] == pytest.approx(1)


@settings(max_examples=60)
@given(st.data(), small, small, margins, st.floats(0.01, 0.9), st.floats(1, 50))
def test_a_tempered_factor_gains_nothing_on_average_whatever_the_block_itself_says_of_clumps(
    data: st.DataObject, n: int, m: int, margin: float, rate: float, before: float
) -> None:
    canary = min(1.0, rate + margin)
    now = data.draw(st.dictionaries(st.integers(0, n * 10 + m), st.floats(1, 50)))
    for alternative in sequential.harms(rate, margin):
        mean = math.fsum(
            p * q * math.exp(
                sequential.tempered(
                    sequential.log_factor(Counts(n, k), Counts(m, j), alternative, margin),
                    before,
                    now.get(k * 10 + j, 1.0),
                )
            )
            for (k, p), (j, q) in product(enumerate(chances([canary - margin] * n)), enumerate(chances([canary] * m)))
        )  # fmt: skip
        assert mean <= 1 + 1e-9


def test_what_is_aside_finds_harm_that_begins_after_an_hour() -> None:
    wealth, trials = sequential.stake(sequential.LIKELY), 0
    for second in range(3600 + 40):
        bad = 0 if second < 3600 else 2
        stable, canary = Counts(40, 0), Counts(20, bad)
        factors = [
            sequential.log_factor(stable, canary, a, 0.01)
            for a in sequential.harms(sequential.baseline(40 * second, 0), 0.01)
        ]
        wealth = sequential.bet(wealth, factors, trials, trials + 20)
        trials += 20
        if sequential.total(wealth) > math.log(300):
            break
    assert 3600 < second < 3620


@pytest.mark.parametrize("trials", [1, 3, 20])
@pytest.mark.parametrize("miss", [0.05, 0.002])
def test_the_bound_is_missed_no_more_often_than_said_whatever_the_rate(trials: int, miss: float) -> None:
    bounds = [sequential.upper_bound(trials, bad, miss) for bad in range(trials + 1)]
    assert bounds == sorted(bounds)
    assert bounds[-1] == 1
    for rate in np.linspace(0.001, 0.999, 333):
        missed = math.fsum(p for p, bound in zip(chances([float(rate)] * trials), bounds, strict=True) if bound < rate)
        assert missed <= miss + 1e-12


def test_without_trials_the_bound_is_one_and_the_baseline_is_small() -> None:
    assert sequential.upper_bound(0, 0, 0.01) == 1
    assert sequential.baseline(0, 0) == pytest.approx(0.004)
    assert sequential.baseline(10_000, 100) == pytest.approx(0.01, rel=0.01)
