"""How much larger one arm's rate of bad outcomes may be than the other's: a bound that holds at every look at once.

Each block's difference is weighed by n = canary * stable / (canary + stable) trials, as Mantel and Haenszel weigh
strata, so that what moves both arms' rates from block to block cancels and shares of traffic may change. Were the
difference larger than what was seen, failures would be missing from the sum. How many of so rare events go missing by
chance is Chernoff's bound, and followed for ever it is that of a mixture (of normal distributions, for events that are
not so rare). The variance is the one that the bound itself would bring about: where nothing failed in 200 trials the
rate need not be 0. The mixture of the rare ones is an approximation; that the bound holds is counted in the tests.

Sources: Robbins, "Statistical methods related to the law of the iterated logarithm" (1970); Howard, Ramdas, McAuliffe &
Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences" (2021), 3.2; Waudby-Smith, Arbour, Sinha,
Kennedy & Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences" (2024); Greenland & Robins,
"Estimation of a common effect parameter from sparse follow-up data" (1985), for the weights; Wilson (1927), for the
variance at the bound; Chernoff (1952).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from serinus.stats.sequential import Counts, Rates

TUNED = 0.5
"""Prior variance of the mixture: the bound is tightest where the sum's variance is some six times as much, as it is
when a canary with few failures is let in. Fifty times more makes it wider by a fifth."""
STEPS = 40  # of the bisection: the bound to 1e-12


def grown(sums: Sequence[float], stable: Counts, canary: Counts) -> tuple[float, ...]:
    """The sums (empty at the start) with one more block, in which both arms have trials."""
    difference, weight, of_canary, of_stable = sums or (0.0, 0.0, 0.0, 0.0)
    share = canary.trials / (canary.trials + stable.trials)
    return (
        difference + (1 - share) * canary.bad - share * stable.bad,
        weight + share * stable.trials,
        of_canary + (1 - share) ** 2 * canary.trials,
        of_stable + share**2 * stable.trials,
    )


def at_most(sums: Sequence[float], stable: float, miss: float, clumped: float = 1.0) -> float:
    """The largest difference canary - stable that the sums leave possible; 1 before the first block.

    stable: that arm's rate, as known. miss: the chance that the difference ever was larger. clumped: by how much more
    than chance explains differences vary from block to block (stats/dispersion.py).
    """
    if not sums:
        return 1.0
    difference, weight, of_canary, of_stable = sums

    def possible(more: float) -> bool:
        rate = min(max(stable + more, 0.0), 1.0)
        variance = clumped * (of_canary * rate * max(1 - rate, 0.5) + of_stable * stable * (1 - stable))
        return surprise(weight * more - difference, variance, of_canary / weight) <= limit(variance, miss)

    low, high = max(-1.0, difference / weight), 1.0
    if possible(high):
        return high
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if possible(middle) else (low, middle)
    return high


def between(sums: Sequence[float], rates: Rates, miss: float, clumped: float = 1.0) -> tuple[float, float]:
    """The differences canary - stable that the sums leave possible, as (least, most); (-1, 1) before the first block.

    rates: of the arms, as known. miss: the chance that the difference ever was outside. clumped: as in `at_most`.
    """
    if not sums:
        return -1.0, 1.0
    difference, weight, of_canary, of_stable = sums
    if rates.stable > 1 / 2:  # `at_most` is about the rarer of two outcomes: here that is the other one
        other = Rates(1 - rates.stable, 1 - rates.canary)
        least, most = between((-difference, weight, of_canary, of_stable), other, miss, clumped)
        return -most, -least
    swapped = (-difference, weight, of_stable, of_canary)
    return (
        -at_most(swapped, rates.canary, miss / 2, clumped),
        at_most(sums, rates.stable, miss / 2, clumped),
    )


def surprise(missing: float, variance: float, step: float) -> float:
    """How unlikely it is that so much is missing of a sum of rare steps of this size, as minus the log of its chance.

    missing**2 / (2 * variance) where steps are many; where all of a few are missing it is twice as much.
    """
    v = variance + TUNED
    part = min(max(step * missing / v, 0.0), 1.0)
    left = 1 - part
    return v / step**2 * (part + (left * math.log(left) if left > 0 else 0.0))


def limit(variance: float, miss: float) -> float:
    """The surprise that a sum whose variance is this by now ever comes to with chance `miss` at most."""
    return math.log1p(math.sqrt((variance + TUNED) / TUNED) / (2 * miss))
