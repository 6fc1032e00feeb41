"""How far apart groups are, and how sure that is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from serinus.facts import Cell, FairnessGap, Tally, Window
from serinus.stats import fairness
from serinus.stats.fairness import Share

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = Window(NOW, NOW + timedelta(days=1))


@pytest.mark.parametrize("share", [Share(56, 70), Share(0, 29), Share(10, 10), Share(1, 2)])
def test_wilsons_interval_is_scipys(share: Share) -> None:
    expected = stats.binomtest(share.hits, share.rows).proportion_ci(0.99, method="wilson")
    assert fairness.wilson(share, 0.01) == pytest.approx((expected.low, expected.high))


def test_differences_have_the_intervals_of_newcombes_paper() -> None:
    # Newcombe (1998), table II, method 10. Example (a): 56/70 against 48/80.
    assert fairness.absolute(Share(56, 70), Share(48, 80), 0.05) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert fairness.absolute(Share(48, 80), Share(56, 70), 0.05) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    # Example (d): 5/56 against 0/29 gives -0.0381 to 0.1926, of which the absolute value is 0 to 0.1926.
    assert fairness.absolute(Share(5, 56), Share(0, 29), 0.05) == pytest.approx((0.0, 0.1926), abs=1e-4)
    # Example (h): 10/10 against 0/10 gives 0.6075 to 1.
    assert fairness.absolute(Share(10, 10), Share(0, 10), 0.05) == pytest.approx((0.6075, 1.0), abs=1e-4)


def test_the_gap_is_the_largest_difference_of_two_groups_that_have_rows_enough() -> None:
    shares = {"a": Share(80, 100), "b": Share(50, 100), "c": Share(60, 100), "few": Share(0, 9), "none": Share(0, 0)}
    found = fairness.gap("shop", "equalOpportunity", {"truePositives": shares}, min_rows=10)
    ends = fairness.absolute(shares["a"], shares["b"], 0.05 / 3)
    assert found == FairnessGap(
        "shop", "equalOpportunity", 0.8 - 0.5, *ends,
        groups={"a": 0.8, "b": 0.5, "c": 0.6, "few": 0.0}, rows={"a": 100, "b": 100, "c": 100, "few": 9},
    )  # fmt: skip
    assert fairness.deciding(found, 10) == 3


def test_more_columns_share_the_confidence() -> None:
    shares = {"a": Share(80, 100), "b": Share(50, 100)}
    alone = fairness.gap("shop", "demographicParity", {"positives": shares})
    shared = fairness.gap("shop", "demographicParity", {"positives": shares}, columns=5)
    assert (shared.low, shared.high) == fairness.absolute(shares["a"], shares["b"], 0.01)
    assert shared.low < alone.low < alone.gap == shared.gap < alone.high < shared.high


def test_equalized_odds_shows_the_rate_that_differs_more_and_covers_both() -> None:
    found, alarms = {"a": Share(80, 100), "b": Share(70, 100)}, {"a": Share(5, 100), "b": Share(45, 100)}
    made = fairness.gap("shop", "equalizedOdds", {"truePositives": found, "falsePositives": alarms})
    assert made.gap == pytest.approx(0.4)
    assert made.groups == {"a": 0.05, "b": 0.45}
    assert (made.low, made.high) == fairness.absolute(alarms["a"], alarms["b"], 0.025)


def test_where_fewer_than_two_groups_decide_nothing_is_known() -> None:
    one = {"a": Share(80, 100), "b": Share(1, 2)}
    found = fairness.gap("shop", "equalOpportunity", {"truePositives": one}, min_rows=10)
    assert (found.gap, found.low, found.high, fairness.deciding(found, 10)) == (0.0, 0.0, 1.0, 1)
    assert found.groups == {"a": 0.8, "b": 0.5}
    assert fairness.gap("shop", "equalOpportunity", {}).groups == {}


def test_a_rate_of_equalized_odds_that_is_not_known_leaves_the_gap_open_upwards() -> None:
    alarms = {"a": Share(5, 100), "b": Share(5, 100)}
    found = fairness.gap("shop", "equalizedOdds", {"truePositives": {}, "falsePositives": alarms})
    assert (found.gap, found.low, found.high) == (0.0, 0.0, 1.0)
    assert found.groups == {"a": 0.05, "b": 0.05}


@pytest.mark.parametrize("rates", [(0.5,) * 8, (0.02,) * 5, (0.3, 0.3, 0.3, 0.4), (0.9, 0.6)])
def test_the_interval_holds_the_true_gap_as_often_as_it_says_though_the_gap_is_a_maximum(
    rates: tuple[float, ...],
) -> None:
    rng = np.random.default_rng(7)
    sizes = rng.integers(60, 400, len(rates))
    times = 400
    missed = shown = 0
    for _ in range(times):
        hits = rng.binomial(sizes, rates)
        shares = {str(i): Share(int(hits[i]), int(sizes[i])) for i in range(len(rates))}
        found = fairness.gap("g", "demographicParity", {"positives": shares})
        missed += not found.low - 1e-12 <= max(rates) - min(rates) <= found.high + 1e-12
        shown += found.gap > 0.0
    assert missed <= 0.05 * times
    assert shown > 0.95 * times  # chance alone makes the gap itself positive


def cell(truth: str | None, answer: str, rows: int) -> Cell:
    return Cell(truth, answer, 50, rows, rows / 2, rows / 4)


def tally(value: str, *cells: Cell, column: str = "shop") -> Tally:
    rows = sum(c.rows for c in cells)
    labelled = sum(c.rows for c in cells if c.truth is not None)
    return Tally(1, DAY, rows, labelled, cells, column=column, value=value)


TALLIES = (
    tally("", cell("yes", "yes", 900), column=""),  # all rows: no group
    tally("north", cell("yes", "yes", 60), cell("yes", "no", 20), cell("no", "yes", 5), cell(None, "yes", 15)),
    tally("north", cell("yes", "yes", 20), cell("no", "no", 95)),  # another day
    tally("south", cell("yes", "yes", 50), cell("yes", "no", 50), cell("no", "no", 100), cell(None, "no", 50)),
    tally("mars", cell("yes", "no", 100), column="planet"),
)


@pytest.mark.parametrize(
    ("metric", "groups", "rows"),
    [
        ("equalOpportunity", {"north": 0.8, "south": 0.5}, {"north": 100, "south": 100}),
        ("demographicParity", {"north": 100 / 215, "south": 0.2}, {"north": 215, "south": 250}),
        ("equalizedOdds", {"north": 0.8, "south": 0.5}, {"north": 100, "south": 100}),
    ],
)
def test_production_is_counted_from_the_slices_of_the_column(
    metric: str, groups: dict[str, float], rows: dict[str, int]
) -> None:
    found = fairness.of_tallies("shop", metric, "yes", TALLIES, min_rows=50)
    assert found.groups == pytest.approx(groups)
    assert found.rows == rows
    assert found.gap == pytest.approx(abs(groups["north"] - groups["south"]))
    assert found.low < found.gap < found.high


def test_without_tallies_nothing_is_known_of_production() -> None:
    assert fairness.of_tallies("shop", "equalizedOdds", "yes", ()) == FairnessGap(
        "shop", "equalizedOdds", 0.0, 0.0, 1.0, {}, {}
    )
