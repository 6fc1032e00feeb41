"""The bound on how much worse an arm may be: exact where it can be said, wide where little is known, and it holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.stats import difference
from serinus.stats.sequential import Counts, Rates, baseline

MISS = 0.05


def summed(*blocks: tuple[Counts, Counts]) -> tuple[float, ...]:
    sums: tuple[float, ...] = ()
    for stable, canary in blocks:
        sums = difference.grown(sums, stable, canary)
    return sums


def test_before_the_first_block_everything_is_possible() -> None:
    assert difference.at_most((), 0.01, MISS) == 1


def test_a_few_answers_leave_everything_possible() -> None:
    assert difference.at_most(summed((Counts(4, 0), Counts(1, 0))), 0.01, MISS) == 1


def test_where_nothing_failed_the_bound_falls_as_one_over_the_trials() -> None:
    bounds = [difference.at_most(summed((Counts(8 * n, 0), Counts(2 * n, 0))), 0.0, MISS) for n in (100, 1000)]
    assert bounds[0] == pytest.approx(0.025, abs=0.005)
    assert bounds[1] == pytest.approx(bounds[0] / 9, rel=0.2)


def test_an_arm_that_is_better_by_far_may_be_known_to_be_better() -> None:
    sums = summed(*[(Counts(500, 250), Counts(500, 50))] * 4)
    assert -0.4 < difference.at_most(sums, 0.5, MISS) < -0.3


def test_what_both_arms_share_from_block_to_block_is_no_difference() -> None:
    calm = summed(*[(Counts(400, 4), Counts(100, 1)), (Counts(400, 40), Counts(100, 10))] * 20)
    assert calm[0] == pytest.approx(0)
    moved = summed((Counts(900, 9), Counts(100, 1)), (Counts(500, 50), Counts(500, 50)))
    assert moved[0] == pytest.approx(0)


def test_clumped_failures_and_more_certainty_make_it_wider() -> None:
    sums = summed(*[(Counts(400, 4), Counts(100, 1))] * 20)
    plain = difference.at_most(sums, 0.01, MISS)
    assert difference.at_most(sums, 0.01, MISS, clumped=10) > 1.5 * plain
    assert difference.at_most(sums, 0.01, MISS / 10) > plain


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1)), min_size=1))
def test_it_lies_between_what_was_seen_and_everything(blocks: list[tuple[int, int, float, float]]) -> None:
    counted = [(Counts(n, round(n * a)), Counts(m, round(m * b))) for n, m, a, b in blocks]
    sums = summed(*counted)
    stable = sum(s.bad for s, _ in counted) / sum(s.trials for s, _ in counted)
    bound = difference.at_most(sums, stable, MISS)
    assert sums[0] / sums[1] - 1e-9 <= bound <= 1


def test_its_limit_is_passed_by_a_walk_with_the_promised_chance_at_most_and_often_enough_to_be_of_use() -> None:
    rng = np.random.default_rng(1)
    walks = rng.normal(size=(1000, 500)).cumsum(axis=1)
    # steps so small that they are as good as normal
    limits = np.sqrt([2 * (v + difference.TUNED) * difference.limit(v, MISS) for v in range(1, 501)])
    passed = float((walks > limits).any(axis=1).mean())
    assert 0.015 < passed <= MISS


def test_that_all_of_a_few_are_missing_is_twice_as_surprising_as_the_normal_law_has_it() -> None:
    few, v = difference.surprise(50.0, 50.0 - difference.TUNED, 1.0), 50.0
    assert few == pytest.approx(50)
    assert difference.surprise(5.0, v - difference.TUNED, 0.001) == pytest.approx(25 / (2 * v), rel=0.01)
    assert difference.surprise(-1.0, 50.0, 1.0) == 0


@pytest.mark.parametrize(("stable", "more", "share"), [(0.008, 0.01, 0.2), (0.0, 0.01, 0.5), (0.2, 0.05, 0.5)])
def test_looked_at_all_the_time_it_is_wrong_no_more_often_than_promised(
    stable: float, more: float, share: float
) -> None:
    rng, wrong, seeds = np.random.default_rng(2), 0, 150
    for _ in range(seeds):
        sums: tuple[float, ...] = ()
        trials = bad = 0
        for look in range(100):
            n, m = int(rng.poisson(100 * (1 - share))) + 1, int(rng.poisson(100 * share)) + 1
            rate = stable * rng.uniform(0.5, 1.5)
            counts = Counts(n, int(rng.binomial(n, rate))), Counts(m, int(rng.binomial(m, rate + more)))
            sums, trials, bad = difference.grown(sums, *counts), trials + n, bad + counts[0].bad
            if look % 5 == 4 and difference.at_most(sums, baseline(trials, bad), MISS) < more:
                wrong += 1
                break
    assert wrong <= MISS * seeds


def test_before_the_first_block_no_difference_is_excluded() -> None:
    assert difference.between((), Rates(0.1, 0.1), MISS) == (-1, 1)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1)), min_size=1),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
)
def test_the_interval_holds_what_was_seen_and_is_mirrored_with_the_arms_and_with_the_outcomes(
    blocks: list[tuple[int, int, float, float]], stable: float, canary: float
) -> None:
    counted = [(Counts(n, round(n * a)), Counts(m, round(m * b))) for n, m, a, b in blocks]
    sums, rates = summed(*counted), Rates(stable, canary)
    least, most = difference.between(sums, rates, MISS)
    assert least - 1e-9 <= sums[0] / sums[1] <= most + 1e-9
    others = summed(*((Counts(s.trials, s.trials - s.bad), Counts(c.trials, c.trials - c.bad)) for s, c in counted))
    if stable != 1 / 2:
        mirrored = difference.between(others, Rates(1 - stable, 1 - canary), MISS)
        assert mirrored == pytest.approx((-most, -least), abs=1e-6)


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_over_all_looks_the_interval_misses_no_difference_and_finds_one_that_is_there(rate: float) -> None:
    rng, wrong, found = np.random.default_rng(7), 0, 0
    for _ in range(50):
        for more in (0.0, 0.1 if rate < 0.5 else -0.1):
            sums: tuple[float, ...] = ()
            stable = canary = Counts(0, 0)
            outside = False
            for _ in range(60):
                s, c = (Counts(100, int(rng.binomial(100, r))) for r in (rate, rate + more))
                sums = difference.grown(sums, s, c)
                stable = Counts(stable.trials + s.trials, stable.bad + s.bad)
                canary = Counts(canary.trials + c.trials, canary.bad + c.bad)
                rates = Rates(*((each.bad + 0.5) / (each.trials + 1) for each in (stable, canary)))
                least, most = difference.between(sums, rates, MISS)
                outside = outside or not least <= more <= most
            wrong += outside
            found += more != 0 and not least <= 0 <= most
    assert wrong <= 100 * MISS
    assert found == 50
