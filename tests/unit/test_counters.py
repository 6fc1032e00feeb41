"""What a counter gained, from raw samples."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from serinus.stats.counters import Gain, gain


def test_the_gain_is_the_difference_of_the_last_samples_at_or_before_the_ends() -> None:
    samples = [(0, 5.0), (1000, 7.0), (2000, 9.0), (3000, 12.0)]
    assert gain(samples, 1000, 2000) == Gain(2, 1)
    assert gain(samples, 999, 2001) == Gain(4, 2)
    assert gain(samples, 1500, 9999) == Gain(5, 2)


def test_a_counter_that_nobody_knew_counts_from_zero_and_one_that_somebody_knew_does_not() -> None:
    assert gain([(1500, 7.0), (2000, 9.0)], 1000, 2000) == Gain(9, 2)
    assert gain([(1500, 7.0), (2000, 9.0)], 1000, 2000, before=6) == Gain(3, 2)


def test_a_fall_is_a_reset() -> None:
    assert gain([(0, 50.0), (1, 60.0), (2, 4.0), (3, 6.0), (4, 1.0)], 0, 9) == Gain(10 + 4 + 2 + 1, 4)
    assert gain([(1, 4.0)], 0, 9, before=6) == Gain(4, 1)


def test_without_samples_inside_nothing_was_gained() -> None:
    assert gain([], 0, 9) == Gain(0, 0)
    assert gain([(0, 50.0), (10, 60.0)], 0, 9) == Gain(0, 0)


@given(st.lists(st.integers(0, 100), max_size=30), st.integers(-2, 32))
def test_what_a_process_counts_is_what_is_found_however_the_time_is_cut(steps: list[int], cut: int) -> None:
    samples = [(at, float(total)) for at, total in enumerate(accumulate(steps))]
    whole = gain(samples, -1, 40)
    assert whole == Gain(sum(steps), len(steps))
    if -1 < cut < 40:
        first, second = gain(samples, -1, cut), gain(samples, cut, 40)
        assert (first.increase + second.increase, first.samples + second.samples) == whole


@given(st.lists(st.floats(0, 1e9), max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_no_counter_gains_less_than_nothing(values: list[float], start: int, length: int) -> None:
    assert gain(enumerate(values), start, start + length).increase >= 0
