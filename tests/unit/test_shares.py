"""Who gets which share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serinus.facts import Routing, Variant
from serinus.render.shares import copies, preference, shares


def routing(*wanted: tuple[int, int] | tuple[int, int, int]) -> Routing:
    return Routing(tuple(Variant(*each) for each in wanted))


def test_shares_of_versions_that_are_not_ready_go_to_the_others_in_proportion() -> None:
    assert shares(routing((1, 60), (2, 20), (3, 20)), [1, 2, 3]) == {1: 60, 2: 20, 3: 20}
    assert shares(routing((1, 60), (2, 20), (3, 20)), [1, 3]) == {1: 75, 3: 25}
    assert shares(routing((1, 80), (2, 20)), [2]) == {2: 100}
    assert shares(routing((1, 34), (2, 33), (3, 33)), [2, 3]) == {2: 50, 3: 50}
    assert shares(routing((1, 70), (2, 10), (3, 10), (4, 10)), [2, 3, 4]) == {2: 34, 3: 33, 4: 33}


def test_a_version_kept_ready_without_a_share_takes_everything_only_when_nobody_else_can() -> None:
    assert shares(routing((3, 100), (1, 0)), [1, 3]) == {3: 100}
    assert shares(routing((3, 100), (1, 0), (4, 0)), [4, 1]) == {1: 100}
    assert shares(routing((3, 100), (1, 0)), [2]) == {}


@given(st.dictionaries(st.integers(1, 9), st.integers(0, 100), max_size=5), st.sets(st.integers(1, 9)))
def test_shares_sum_to_100_and_only_ready_variants_have_one(weights: dict[int, int], ready: set[int]) -> None:
    found = shares(routing(*weights.items()), ready)
    assert sum(found.values()) == (100 if ready & weights.keys() else 0)
    assert found.keys() <= ready & weights.keys()
    assert all(share > 0 for share in found.values())


def test_the_fallback_is_the_one_with_the_largest_share_then_the_older() -> None:
    assert preference(routing((4, 10), (3, 90), (1, 0), (5, 0), (6, 0)), [1, 3, 4, 5]) == [3, 4, 1, 5]


def test_who_gets_copies_answers_nobody_though_all_others_are_away() -> None:
    shadowed = routing((1, 100), (2, 0, 30))
    assert shares(shadowed, [1, 2]) == {1: 100}
    assert shares(shadowed, [2]) == {}
    assert preference(shadowed, [1, 2]) == [1]


def test_copies_go_to_who_is_ready_for_them() -> None:
    shadowed = routing((1, 100), (2, 0, 30))
    assert copies(shadowed, [1, 2]) == {2: 30}
    assert copies(shadowed, [1]) == {}
    assert copies(routing((1, 80), (2, 20)), [1, 2]) == {}
