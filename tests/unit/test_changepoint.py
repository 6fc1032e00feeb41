"""Since when counts are drawn from another distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.stats.changepoint import change_point

OLD, NEW = [500, 300, 200, 0], [200, 300, 500, 0]


def test_the_first_block_of_another_distribution_is_found() -> None:
    assert change_point(OLD, [[50, 30, 20, 0]] * 5 + [[20, 30, 50, 0]] * 3, NEW) == 5


def test_what_it_is_known_by_may_partly_be_older_than_the_change() -> None:
    blocks = [[50, 30, 20, 0]] * 7 + [[20, 30, 50, 0]]
    assert change_point(OLD, blocks, np.sum(blocks, axis=0).tolist()) == 7


def test_when_every_block_is_new_it_began_with_the_first_or_before() -> None:
    assert change_point(OLD, [[20, 30, 50, 0]] * 6, NEW) == 0


def test_a_single_new_block_among_old_ones_at_the_end_is_found_and_one_in_the_middle_is_no_lasting_change() -> None:
    old, new = [50, 30, 20, 0], [20, 30, 50, 0]
    assert change_point(OLD, [old, new, old, old, old, new], new) == 5


@pytest.mark.parametrize("place", [0, 3])
def test_a_block_without_counts_is_no_beginning(place: int) -> None:
    blocks = [[50, 30, 20, 0]] * 3 + [[20, 30, 50, 0]] * 3
    blocks.insert(place, [0, 0, 0, 0])
    assert change_point(OLD, blocks, NEW) == 4


def test_a_value_that_was_never_seen_before_is_a_change_like_others() -> None:
    assert change_point(OLD, [[50, 30, 20, 0]] * 4 + [[45, 25, 20, 10]] * 2, [90, 50, 40, 20]) == 4


def test_a_slow_change_began_about_when_half_of_it_had_come_about() -> None:
    rng, p, q = np.random.default_rng(3), np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    found = []
    for _ in range(50):
        blocks = [rng.multinomial(500, p + (q - p) * min(1, t / 20)).tolist() for t in range(32)]
        found.append(change_point([5000, 3000, 2000], blocks, np.sum(blocks[24:], axis=0).tolist()))
    assert 8 <= np.median(found) <= 12


@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1, max_size=12))
def test_it_is_always_a_block_that_has_counts(blocks: list[list[int]]) -> None:
    if not np.sum(blocks):
        with pytest.raises(ValueError, match="expected counts"):
            change_point([5, 3, 2], blocks, [1, 1, 1])
    else:
        assert sum(blocks[change_point([5, 3, 2], blocks, np.sum(blocks, axis=0).tolist())]) > 0


@pytest.mark.parametrize(("before", "after"), [([0, 0], [1, 1]), ([1, 1], [0, 0])])
def test_without_something_to_compare_there_is_no_answer(before: list[int], after: list[int]) -> None:
    with pytest.raises(ValueError, match="expected counts before"):
        change_point(before, [[1, 2]], after)
