"""How differently groups are treated, and how sure that is: the largest difference between the groups' rates.

The gap is a maximum over pairs of groups, so chance alone makes it positive: of ten equal groups some two differ. A
percentile bootstrap of the gap inherits this (every replicate's maximum is positive, most of them are larger than the
sample's) and would call equal groups unequal. Here every pair's difference gets an interval, all of them together at
the stated confidence (Bonferroni); while all hold, the gap lies between the largest of their lower and the largest of
their upper ends. That is wider than needed, never narrower.

Sources: Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
methods", Statistics in Medicine 17 (1998), method 10, made of Wilson's intervals; for the metrics Hardt, Price and
Srebro, "Equality of opportunity in supervised learning" (2016). Rows are taken as independent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Literal

from serinus.facts import FairnessGap, Tally

Rate = Literal["truePositives", "falsePositives", "positives"]
RATES: Mapping[str, tuple[Rate, ...]] = {
    "equalOpportunity": ("truePositives",),
    "demographicParity": ("positives",),
    "equalizedOdds": ("truePositives", "falsePositives"),
}
"""fairness metric -> the rates that it compares; of two, the one that differs more is its gap."""


@dataclass(frozen=True)
class Share:
    """A rate as it was counted: `hits` of `rows`, 0 <= hits <= rows."""

    hits: int
    rows: int

    @property
    def rate(self) -> float:
        """hits / rows; there is at least one row."""
        return self.hits / self.rows


def gap(
    column: str,
    metric: str,
    shares: Mapping[Rate, Mapping[str, Share]],
    *,
    min_rows: int = 1,
    confidence: float = 0.95,
    columns: int = 1,
) -> FairnessGap:
    """The largest difference of the rates of `metric` between two groups of `column`, with its interval.

    shares: rate -> group -> count. Groups whose rate is made of fewer than `min_rows` rows are in `groups` and `rows`,
    not in the gap. columns: how many columns share the confidence. Where a rate has fewer than two groups that
    decide, nothing is known of it: the gap may be up to 1.
    """
    known = {
        rate: {group: share for group, share in sorted(shares.get(rate, {}).items()) if share.rows}
        for rate in RATES[metric]
    }
    pairs = {
        rate: list(combinations([share for share in groups.values() if share.rows >= min_rows], 2))
        for rate, groups in known.items()
    }
    comparisons = columns * sum(len(found) for found in pairs.values())
    worst, low, high = 0.0, 0.0, 0.0 if all(pairs.values()) else 1.0
    shown = next((rate for rate, found in pairs.items() if found), RATES[metric][0])
    for rate, found in pairs.items():
        for one, other in found:
            ends = absolute(one, other, (1 - confidence) / comparisons)
            low, high = max(low, ends[0]), max(high, ends[1])
            if (apart := abs(one.rate - other.rate)) > worst:
                worst, shown = apart, rate
    groups = known[shown]
    return FairnessGap(
        column, metric, worst, low, high,
        groups={group: share.rate for group, share in groups.items()},
        rows={group: share.rows for group, share in groups.items()},
    )  # fmt: skip


def of_tallies(
    column: str,
    metric: str,
    positive: str,
    tallies: Sequence[Tally],
    *,
    min_rows: int = 1,
    confidence: float = 0.95,
    columns: int = 1,
) -> FairnessGap:
    """The gap in production: `tallies` of one version and time, of which those of slices of `column` are the groups.

    Several windows of a group are added up. Rows without a label say nothing of true and false positives; those that
    came may not be like the others.
    """
    counts: Counter[tuple[Rate, str, bool]] = Counter()
    for tally in tallies:
        if tally.column != column:
            continue
        for cell in tally.cells:
            said = cell.answer == positive
            counts["positives", tally.value, said] += cell.rows
            if cell.truth is not None:
                rate: Rate = "truePositives" if cell.truth == positive else "falsePositives"
                counts[rate, tally.value, said] += cell.rows
    shares: dict[Rate, dict[str, Share]] = {}
    for rate, group, _ in counts:
        hits = counts.get((rate, group, True), 0)
        shares.setdefault(rate, {})[group] = Share(hits, hits + counts.get((rate, group, False), 0))
    return gap(column, metric, shares, min_rows=min_rows, confidence=confidence, columns=columns)


def deciding(found: FairnessGap, min_rows: int) -> int:
    """How many groups the gap was made of."""
    return sum(rows >= min_rows for rows in found.rows.values())


def absolute(one: Share, other: Share, miss: float) -> tuple[float, float]:
    """An interval of |one's rate - other's rate| that misses it with probability `miss`, as far as Newcombe's holds."""
    (low1, high1), (low2, high2) = wilson(one, miss), wilson(other, miss)
    difference = one.rate - other.rate
    low = difference - math.hypot(one.rate - low1, high2 - other.rate)
    high = difference + math.hypot(high1 - one.rate, other.rate - low2)
    if low <= 0 <= high:
        return 0.0, min(1.0, max(-low, high))
    return min(abs(low), abs(high)), min(1.0, max(abs(low), abs(high)))


def wilson(share: Share, miss: float) -> tuple[float, float]:
    """Wilson's score interval of a rate, two-sided, missing it with probability `miss`."""
    z = NormalDist().inv_cdf(1 - miss / 2)
    n, p = share.rows, share.rate
    middle, reach = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)
