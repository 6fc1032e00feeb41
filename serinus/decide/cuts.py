"""Where two versions' distributions are compared: cuts of stable's own, chosen before anything is bet on them.

A distribution is counted in bins, each (its upper bound, how many lie in it), rising, the last bound infinite. The two
versions' bins may differ: scores are counted by each version's own training profile. The canary's bins count as bad
only where they lie wholly among what is bad, so that harm is never made of a bin's unknown inside; what that hides is
a bin or two at the cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from serinus.facts import Arm
from serinus.stats.sequential import Counts

Bins = tuple[tuple[float, int], ...]
ENOUGH = 200
"""Of stable's outcomes by which cuts are chosen: quantiles are known to 3.5 points by then."""


@dataclass(frozen=True)
class Cut:
    """Outcomes that are counted as bad: values in (low, high], or all others."""

    low: float
    high: float
    outside: bool = False
    says: str = ""

    @property
    def where(self) -> tuple[float, ...]:
        """It, as evidence remembers it."""
        return (self.low, self.high, float(self.outside))

    def count(self, bins: Bins) -> Counts:
        """Trials and bad ones; no trials where no bin lies wholly among the bad, which tells nothing about them."""
        bad, known, lower = 0, False, -math.inf
        for upper, count in bins:
            beside = upper <= self.low or lower >= self.high
            within = lower >= self.low and upper <= self.high
            if beside if self.outside else within:
                bad, known = bad + count, True
            lower = upper
        return Counts(sum(count for _, count in bins), bad) if known else Counts(0, 0)


@dataclass(frozen=True)
class Family:
    """A distribution that is compared at several cuts."""

    bins: Callable[[Arm], Bins]
    arm: Callable[[Bins], Arm]  # the other way round
    shares: tuple[float, ...]  # of stable's outcomes that should lie up to a bound
    cuts: Callable[[tuple[float, ...]], tuple[Cut, ...]]  # what is compared, of the bounds chosen for `shares`
    least: float = -math.inf  # bounds under it are not chosen


def merged(seen: Bins, more: Bins) -> Bins:
    """Both together."""
    sums: dict[float, int] = dict(seen)
    for bound, count in more:
        sums[bound] = sums.get(bound, 0) + count
    return tuple(sorted(sums.items()))


def chosen(family: Family, seen: Bins) -> tuple[float, ...]:
    """For each of the family's shares the bound up to which nearest to so many of `seen` lie; empty without a bound."""
    total, below = sum(count for _, count in seen), 0
    shares: dict[float, float] = {}
    for bound, count in seen:
        below += count
        if family.least <= bound < math.inf:
            shares[bound] = below / total
    return tuple(min(shares, key=lambda b: (abs(shares[b] - wanted), b)) for wanted in family.shares) if shares else ()


def slower(bounds: tuple[float, ...]) -> tuple[Cut, ...]:
    """Answers that took longer than each of the bounds (seconds)."""
    return tuple(Cut(bound, math.inf, says=f"over {1000 * bound:g}ms ") for bound in sorted(set(bounds)))


def elsewhere(bounds: tuple[float, ...]) -> tuple[Cut, ...]:
    """Scores on either side of stable's median, and in its middle half or beside it.

    Whatever one value a canary gave to everybody, half of stable's scores lie elsewhere, and one of the four rises to
    all: below, above, or within, where its bin is cut by the median.
    """
    if not bounds:
        return ()
    low, middle, high = bounds
    sides = (
        Cut(-math.inf, middle, says=f"up to {middle:.4g} "),
        Cut(middle, math.inf, says=f"over {middle:.4g} "),
    )
    if low >= high:
        return sides
    between = f"{low:.4g} to {high:.4g} "
    return (*sides, Cut(low, high, says=f"within {between}"), Cut(low, high, outside=True, says=f"outside {between}"))


def latencies(above: float) -> Family:
    """How long answers took; differences among those quicker than `above` (seconds) are none."""
    return Family(lambda arm: arm.times, lambda bins: Arm(times=bins), (0.5, 0.75, 0.9), slower, above)


SCORES = Family(lambda arm: arm.scores, lambda bins: Arm(scores=bins), (0.25, 0.5, 0.75), elsewhere)
