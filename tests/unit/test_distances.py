"""Laws of the distances between histograms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from serinus.stats.distances import jensen_shannon, psi

Distance = Callable[[Sequence[float], Sequence[float]], float]
BOTH = pytest.mark.parametrize("distance", [psi, jensen_shannon])


def histograms(number: int) -> st.SearchStrategy[list[list[int]]]:
    """`number` histograms over the same one to ten bins, none of them empty."""
    return st.integers(1, 10).flatmap(
        lambda bins: st.lists(
            st.lists(st.integers(0, 10**6), min_size=bins, max_size=bins).filter(any), min_size=number, max_size=number
        )
    )


@BOTH
@given(pair=histograms(2))
def test_a_distance_is_never_negative_and_the_same_both_ways(distance: Distance, pair: list[list[int]]) -> None:
    there, back = distance(pair[0], pair[1]), distance(pair[1], pair[0])
    assert there >= 0
    assert there == pytest.approx(back, abs=1e-9)


@BOTH
@given(one=histograms(1))
def test_a_histogram_is_at_no_distance_from_itself(distance: Distance, one: list[list[int]]) -> None:
    assert distance(one[0], one[0]) == pytest.approx(0, abs=1e-9)


@BOTH
@given(pair=histograms(2), at=st.integers(0, 10))
def test_a_bin_that_is_empty_on_both_sides_changes_nothing(distance: Distance, pair: list[list[int]], at: int) -> None:
    wider = [[*counts[:at], 0, *counts[at:]] for counts in pair]
    assert distance(wider[0], wider[1]) == pytest.approx(distance(pair[0], pair[1]), abs=1e-9)


@BOTH
@given(pair=histograms(2), seed=st.integers(0, 1000))
def test_the_order_of_the_bins_does_not_matter(distance: Distance, pair: list[list[int]], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(pair[0]))
    mixed = [[counts[i] for i in order] for counts in pair]
    assert distance(mixed[0], mixed[1]) == pytest.approx(distance(pair[0], pair[1]), abs=1e-9)


@given(histograms(2))
def test_jensen_shannon_is_scipys_and_within_its_bounds(pair: list[list[int]]) -> None:
    found = jensen_shannon(pair[0], pair[1])
    assert 0 <= found <= 1
    assert found == pytest.approx(float(jensenshannon(pair[0], pair[1], base=2)), abs=1e-6)


@given(histograms(3))
def test_jensen_shannon_obeys_the_triangle_inequality(three: list[list[int]]) -> None:
    a, b, c = three
    assert jensen_shannon(a, c) <= jensen_shannon(a, b) + jensen_shannon(b, c) + 1e-9


def test_jensen_shannon_of_histograms_that_share_no_bin_is_one() -> None:
    assert jensen_shannon([5, 0, 0], [0, 3, 4]) == 1


def test_psi_is_the_textbooks_where_counts_are_large() -> None:
    # Shares 0.5/0.5 against 0.6/0.4: 0.1 ln(0.6/0.5) - 0.1 ln(0.4/0.5).
    expected = 0.1 * math.log(1.2) - 0.1 * math.log(0.8)
    assert psi([5 * 10**9, 5 * 10**9], [6 * 10**9, 4 * 10**9]) == pytest.approx(expected, rel=1e-6)


def test_psi_is_finite_when_a_bin_is_empty_on_one_side_and_grows_with_what_is_in_it() -> None:
    found = [psi([1000, 0], [1000 - n, n]) for n in (1, 10, 100, 1000)]
    assert found == sorted(found)
    assert all(math.isfinite(f) for f in found)


def test_without_any_difference_the_mean_of_psi_is_what_its_docstring_says() -> None:
    rng = np.random.default_rng(11)
    shares = np.full(12, 1 / 12)
    found = [psi(rng.multinomial(20_000, shares).tolist(), rng.multinomial(600, shares).tolist()) for _ in range(400)]
    assert np.mean(found) == pytest.approx(11 * (1 / 600 + 1 / 20_000), rel=0.1)


@BOTH
@pytest.mark.parametrize(
    ("reference", "current"),
    [([], []), ([0, 0], [1, 2]), ([1, 2], [0, 0]), ([1, 2], [1, 2, 3]), ([1, -1], [1, 1]), ([1, 1], [math.nan, 1])],
)
def test_what_is_no_pair_of_histograms_is_refused(
    distance: Distance, reference: list[float], current: list[float]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        distance(reference, current)
