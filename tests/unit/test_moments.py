"""Where a column's mean is, as far as counts of its bins can tell."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from serinus import wire
from serinus.facts import Bins
from serinus.stats import bins, moments

RNG = np.random.default_rng(7)
NORMAL = RNG.normal(100.0, 20.0, 100_000)
COLUMN = bins.numeric("x", NORMAL)


def seen(shift: float) -> float:
    """What a shift by so many standard deviations is told to be."""
    found = moments.shift(COLUMN, bins.tally(COLUMN, NORMAL + shift * NORMAL.std()).counts)
    assert found is not None
    return found


def test_the_training_rows_themselves_have_not_moved() -> None:
    assert seen(0) == pytest.approx(0, abs=1e-12)
    assert COLUMN.sd == pytest.approx(NORMAL.std())
    middle = np.average(COLUMN.means, weights=COLUMN.counts[: len(COLUMN.means)])
    assert middle == pytest.approx(NORMAL.mean()), "every bin has the mean of its own rows"


@pytest.mark.parametrize(("shift", "understated"), [(0.1, 0.05), (-0.25, 0.06), (0.5, 0.07), (1.0, 0.11), (-1.0, 0.11)])
def test_a_shift_is_told_in_standard_deviations_and_understated_as_documented(shift: float, understated: float) -> None:
    assert (1 - understated) * abs(shift) < abs(seen(shift)) < abs(shift)
    assert np.sign(seen(shift)) == np.sign(shift)


def test_beyond_the_outermost_bins_nothing_more_is_seen() -> None:
    assert 1.7 < seen(5) <= seen(50) < 1.8


def test_missing_and_unseen_values_move_no_mean() -> None:
    counts = list(bins.tally(COLUMN, NORMAL).counts)
    counts[-2] += 50_000
    assert moments.shift(COLUMN, counts) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "values", [[3.0, 3.0, 3.0], [1.0, 2.0, np.inf], [np.nan, np.nan], [1e308, -1e308, 1e308]], ids=str
)
def test_a_column_without_a_finite_spread_has_no_unit_to_measure_a_shift_in(values: list[float]) -> None:
    with np.errstate(over="ignore"):
        column = bins.numeric("x", np.array(values))
    assert (column.means, column.sd) == ((), None)
    assert moments.shift(column, column.counts) is None


def test_categories_have_no_mean() -> None:
    column = bins.categorical("c", ["a", "b", None])
    assert moments.shift(column, column.counts) is None


def test_a_window_without_a_value_has_no_mean() -> None:
    nothing = [0] * len(COLUMN.counts)
    assert moments.shift(COLUMN, nothing) is None
    assert moments.shift(replace(COLUMN, counts=tuple(nothing)), COLUMN.counts) is None


def test_a_profile_of_before_means_were_kept_can_still_be_read() -> None:
    assert wire.load(Bins, wire.dump(COLUMN)) == COLUMN
    old = json.loads(wire.dump(COLUMN))
    del old["means"], old["sd"]
    assert wire.load(Bins, json.dumps(old).encode()) == replace(COLUMN, means=(), sd=None)
