"""The e-detector's promise, and that it sees what is there; and how much windows differ."""

from __future__ import annotations

import math

import numpy as np
import pytest

from serinus.stats import edetector, spread
from serinus.stats.edetector import Seen


def stream(rng: np.random.Generator, windows: int, over: float, error: float = 0.01) -> list[Seen]:
    return [Seen(x, error, error) for x in rng.normal(over, error, windows)]


def test_at_the_bound_the_mean_time_between_false_alarms_is_at_least_what_was_asked_for() -> None:
    rng, apart = np.random.default_rng(1), 50.0
    windows = 40_000
    found = edetector.run(stream(rng, windows, 0.0), apart)
    assert 0 < len(found.alarms) <= windows / apart


def test_what_is_better_than_the_bound_hardly_ever_alarms() -> None:
    assert not edetector.run(stream(np.random.default_rng(2), 20_000, -0.01), 100).alarms


@pytest.mark.parametrize(("over", "within"), [(0.01, 12), (0.02, 5), (0.05, 3)])
def test_a_change_is_found_soon_whenever_it_comes(over: float, within: int) -> None:
    rng, delays = np.random.default_rng(3), []
    for start in (0, 100, 500):
        for _ in range(20):
            windows = stream(rng, start, -0.01) + stream(rng, 60, over)
            delays.append(edetector.run(windows, 365).alarms[0] - start + 1)
    assert np.median(delays) <= within


def test_one_window_alone_never_alarms_however_odd_it_is() -> None:
    for apart in (2.0, 365.0, 1e6):
        found = edetector.run([Seen(1e9, 1.0, 1.0)], apart)
        assert found.alarms == ()
        assert math.exp(found.logs[0]) <= math.sqrt(apart) + 1e-9


def test_after_an_alarm_it_starts_anew() -> None:
    windows = [Seen(0.05, 0.01, 0.01)] * 40
    found = edetector.run(windows, 365)
    first = found.alarms[0]
    assert found.alarms[1] == 2 * first + 1
    assert found.logs[first + 1] == pytest.approx(found.logs[0])


def test_what_came_before_does_not_depend_on_what_comes_after() -> None:
    windows = stream(np.random.default_rng(4), 80, 0.005)
    assert edetector.run(windows[:50], 100).logs == edetector.run(windows, 100).logs[:50]


def test_a_window_less_sure_than_was_expected_says_less() -> None:
    sure, unsure = edetector.run([Seen(0.02, 0.01, 0.01)], 365), edetector.run([Seen(0.02, 0.01, 0.03)], 365)
    assert unsure.logs[0] < sure.logs[0]


def test_no_time_between_alarms_is_refused() -> None:
    with pytest.raises(ValueError, match="expected more than one window between false alarms, got 1"):
        edetector.run([], 1.0)


def of_days(rng: np.random.Generator, windows: int, sd: float, like: float) -> list[float]:
    effects = [rng.normal(0, sd)]
    for _ in range(windows - 1):
        effects.append(like * effects[-1] + math.sqrt(1 - like**2) * rng.normal(0, sd))
    return effects


def test_nothing_is_known_before_the_second_window_but_the_guess() -> None:
    assert spread.between([0.1, 0.9], [0.01] * 2, 4e-4, 4) == pytest.approx([4e-4, 4e-4])
    assert spread.between([], [], 1.0, 4) == []


def test_one_difference_counts_for_nine_times_what_was_likely_at_most() -> None:
    far, farther = (spread.between([0.1, x, 0.1], [0.01] * 3, 4e-4, 4)[2] for x in (0.5, 0.9))
    assert far == farther == pytest.approx((4 * 4e-4 + 9 * (4e-4 + 1e-4) - 1e-4) / 5)


@pytest.mark.parametrize(("like", "low", "high"), [(0.0, 0.9, 2.0), (0.5, 1.8, 4.0)])
def test_the_long_run_variance_between_windows_is_found_beside_the_errors_within(
    like: float, low: float, high: float
) -> None:
    rng, sd, error = np.random.default_rng(5), 0.02, 0.01
    last = [
        spread.between([e + rng.normal(0, error) for e in of_days(rng, 200, sd, like)], [error] * 200, 1e-4, 4)[-1]
        for _ in range(60)
    ]
    assert low * sd**2 <= np.median(last) <= high * sd**2


def test_windows_that_differ_by_chance_alone_show_next_to_no_variance_between_them() -> None:
    rng = np.random.default_rng(6)
    found = spread.between(rng.normal(0, 0.01, 300).tolist(), [0.01] * 300, 1e-4, 4)
    assert found[-1] < 5e-5


def test_a_lasting_change_of_level_is_not_taken_for_days_that_differ() -> None:
    rng, days = np.random.default_rng(7), [0.0] * 40 + [0.1] * 40
    found = spread.between([d + rng.normal(0, 0.005) for d in days], [0.005] * 80, 1e-4, 4)
    assert found[-1] < 0.3 * np.var(days)
