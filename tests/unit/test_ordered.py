"""Whether values became larger, and whether a small share grew."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom, mannwhitneyu, norm

from serinus.stats import ordered, rises

EDGES = norm.ppf(np.arange(1, 10) / 10)


def shares(shift: float) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.diff(norm.cdf(EDGES - shift), prepend=0, append=1)
    return found


def test_counts_give_what_their_rows_give_one_by_one() -> None:
    before, now = [30, 0, 12, 50], [3, 9, 0, 21]
    after, first = (np.repeat(np.arange(4.0), counts) for counts in (now, before))
    found = ordered.superiority(before, now)
    expected = mannwhitneyu(after, first, method="asymptotic", use_continuity=False)
    assert float(found.chance) == pytest.approx(expected.statistic / (33 * 92))
    assert ordered.p_value(float(found.z)) == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize("shift", [-0.5, 0.1, 0.25, 1.0])
def test_a_shift_is_told_in_standard_deviations(shift: float) -> None:
    found = ordered.superiority(shares(0) * 1e5, shares(shift) * 1e5)
    assert ordered.deviations(float(found.chance)) == pytest.approx(shift, rel=0.05)


def test_a_quarter_of_a_standard_deviation_is_ten_standard_errors_of_2000_rows() -> None:
    assert 10 < float(ordered.superiority(shares(0) * 1e5, shares(0.25) * 2000).z) < 12


def test_rows_that_count_for_a_quarter_give_half_of_the_score() -> None:
    whole, part = (ordered.superiority(shares(0) * 1e9, shares(0.25) * 2000, weight) for weight in (1.0, 0.25))
    assert float(part.z) == pytest.approx(float(whole.z) / 2, rel=1e-3)


def test_without_rows_or_without_two_values_there_is_nothing_to_tell() -> None:
    for before, now in (([0, 0], [3, 4]), ([3, 4], [0, 0]), ([5, 0], [7, 0]), ([1, 0], [0, 0])):
        found = ordered.superiority(before, now)
        assert (float(found.chance), float(found.z)) == (0.5, 0.0)
    assert ordered.p_value(0.0) == 1.0


def test_values_that_all_are_larger_are_a_finite_number_of_deviations_larger() -> None:
    assert 5 < ordered.deviations(float(ordered.superiority([100, 0], [0, 100]).chance)) < 10


def test_false_alarms_of_the_shift_are_as_rare_as_they_should_be() -> None:
    rng = np.random.default_rng(2)
    found = ordered.superiority(rng.multinomial(20_000, shares(0)), rng.multinomial(300, shares(0), size=50_000))
    assert 0.0005 < float((abs(found.z) > norm.isf(0.0005)).mean()) < 0.0016


def test_a_rise_from_none_in_100_000_to_40_in_2000_is_none_of_chance() -> None:
    found = rises.p_value([0, 0, 10], [100_000] * 3, [40, 0, 0], [2000] * 3)
    assert found[0] < 1e-60
    assert found[1] == found[2] == 1.0


def test_the_chance_of_a_rise_is_the_binomial_one_of_whole_counts() -> None:
    before, of, now, rows = 7, 5000, 6, 1000
    assert float(rises.p_value(before, of, now, rows)) == pytest.approx(binom.sf(now - 1, now + before, 1 / 6))
