"""How much less rows tell that are not independent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm

from serinus.stats import clumps

RANKS = np.arange(10.0)


def parts(rng: np.random.Generator, rows: int, each: int = 1, many: int = 24) -> npt.NDArray[np.int64]:
    """Parts of a window whose rows come `each` alike at a time."""
    return each * rng.multinomial(rows // many // each, [0.1] * 10, size=many)


def mean(rows: int, each: int) -> tuple[float, float]:
    rng = np.random.default_rng(3)
    made = np.array([parts(rng, rows, each) for _ in range(200)])
    return float(clumps.linear(made, RANKS).mean()), float(clumps.whole(made).mean())


def test_independent_rows_count_about_one_each() -> None:
    for rows in (600, 20_000):
        one, all_ = mean(rows, 1)
        assert 1.0 <= one < 1.6
        assert 1.0 <= all_ < 1.3


@pytest.mark.parametrize("each", [5, 20])
def test_rows_that_come_so_many_alike_count_as_many_fewer_and_rather_some_more(each: int) -> None:
    one, all_ = mean(24_000, each)
    assert 0.9 * each < one < 2.2 * each
    assert 0.9 * each < all_ < 1.6 * each


def test_a_change_of_level_in_the_middle_of_the_window_is_hardly_taken_for_clumps() -> None:
    rng = np.random.default_rng(4)
    early, late = rng.multinomial(100, [0.1] * 10, size=12), rng.multinomial(100, [0.19] * 5 + [0.01] * 5, size=12)
    made = np.concatenate([early, late])
    assert clumps.linear(made, RANKS, (1,)) < 5
    assert clumps.linear(made, RANKS, (1,), spared=1) < 1.6
    assert clumps.whole(made, (1,), spared=1) < 1.6


def test_clumps_that_last_for_several_parts_are_seen_in_runs_of_them() -> None:
    rng = np.random.default_rng(5)
    moods = np.repeat(rng.dirichlet([20] * 10, size=6), 4, axis=0)
    made = np.array([rng.multinomial(100, mood) for mood in moods])
    assert clumps.whole(made) > 1.5 * clumps.whole(made, (1,))


def test_where_nothing_differs_or_nothing_is_there_rows_count_one_each() -> None:
    alike = np.zeros((24, 10), dtype=int)
    assert clumps.linear(alike, RANKS) == clumps.whole(alike) == 1.0
    alike[:, 3] = 50
    assert clumps.linear(alike, RANKS) == clumps.whole(alike) == 1.0
    assert clumps.linear(alike[:2], RANKS) == clumps.whole(alike[:2]) == 1.0, "too few for runs of four"
    alike[5] = 0
    assert clumps.linear(alike, RANKS) == 1.0


def test_many_distributions_are_told_at_once() -> None:
    rng = np.random.default_rng(6)
    made = np.array([[parts(rng, 2400, each) for each in (1, 6)] for _ in range(3)])
    found = clumps.linear(made, np.broadcast_to(RANKS, (3, 2, 10)))
    assert found.shape == (3, 2)
    assert float(found[1, 1]) == pytest.approx(float(clumps.linear(made[1, 1], RANKS)))
    assert float(clumps.whole(made)[2, 0]) == pytest.approx(float(clumps.whole(made[2, 0])))


def days(rng: np.random.Generator, rows: int, moods: float, each: int = 1, many: int = 60) -> npt.NDArray[np.int64]:
    """Days of 24 parts; a day's values are larger by a number of its own, `moods` standard deviations wide."""
    edges = norm.ppf(np.arange(1, 10) / 10)
    shifts = moods * rng.normal(size=(many, 1, 1))
    shares = np.diff(norm.cdf(edges - shifts), prepend=0.0, append=1.0)
    found: npt.NDArray[np.int64] = each * rng.multinomial(rows // 24 // each, np.broadcast_to(shares, (many, 24, 10)))
    return found


@pytest.mark.parametrize("rows", [480, 2400])
def test_days_unlike_other_days_show_in_the_correlation_of_their_rows_whatever_their_number(rows: int) -> None:
    """A tenth of a deviation wide: a hundredth of a row's variance, 0.95 of which the ranks of ten bins see."""
    rng = np.random.default_rng(7)
    found = [clumps.alike(days(rng, rows, 0.1), RANKS) for _ in range(20)]
    assert 0.007 < np.mean([one.correlation for one in found]) < 0.018
    assert float(found[0].effect) > 0.004 * rows


@pytest.mark.parametrize("each", [1, 20])
def test_days_like_other_days_have_none_whether_their_rows_come_in_clumps_or_not(each: int) -> None:
    rng = np.random.default_rng(8)
    found = [clumps.alike(days(rng, 2400, 0.0, each), RANKS) for _ in range(20)]
    assert np.mean([one.correlation * 2400 for one in found]) < 0.15 * each
    assert 0.9 * each < np.mean([one.effect for one in found]) < 1.6 * each
    assert float(clumps.alike(days(rng, 2400, 0.0, each)).correlation) * 2400 < each


def test_stretches_without_rows_say_nothing_and_rows_that_are_all_alike_are_so_at_most() -> None:
    empty = np.zeros((6, 24, 10), dtype=int)
    assert [float(one) for one in clumps.alike(empty, RANKS)] == [1.0, 0.0]
    one_each = empty.copy()
    one_each[range(6), 0, range(6)] = 100
    assert clumps.alike(one_each, RANKS).correlation <= 1.0
