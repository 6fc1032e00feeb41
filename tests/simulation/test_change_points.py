"""The beginning of a drift is told as well as docs/drift.md says."""

from __future__ import annotations

import numpy as np

from tests.simulation.change_points import World, errors

RUNS = 60


def test_a_shift_of_half_a_standard_deviation_is_dated_to_an_eighth_of_a_window() -> None:
    found = np.abs(errors(World(rows=2000, shift=0.5), RUNS))
    assert (found <= 1 / 8).mean() >= 0.95


def test_a_season_within_the_window_blurs_the_date_and_does_not_move_it() -> None:
    found = np.array(errors(World(rows=2000, shift=1.0, season=0.5), RUNS))
    assert (np.abs(found) <= 1 / 4).mean() >= 0.85
    assert abs(np.median(found)) <= 1 / 8


def test_a_slow_drift_began_before_half_of_it_had_come_about_and_not_before_it_began() -> None:
    found = np.array(errors(World(rows=2000, shift=1.0, slow=2.0), RUNS))
    assert -1.0 <= np.median(found) <= 0.0
