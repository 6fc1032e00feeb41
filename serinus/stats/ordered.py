"""Whether the values of one histogram are larger, or smaller, than those of another with the same ordered bins.

A chi-squared test looks for any difference and divides its power over all bins; this one looks for a shift only, and
sees one that is half as large. Sources: Mann & Whitney, "On a test of whether one of two random variables is
stochastically larger than the other" (1947); Kruskal & Wallis 1952 for ties; McGraw & Wong, "A common language effect
size statistic" (1992).
"""

from __future__ import annotations

from math import erfc, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SURE = 1e-9  # a probability nearer to 0 or 1 is taken for this


class Superiority(NamedTuple):
    """How much the current values are over the others, and in standard errors."""

    chance: Floats  # that a row of the current is over one of the reference, ties counting half
    z: Floats  # normal score of the test; 0 where there is nothing to tell apart


def superiority(reference: npt.ArrayLike, current: npt.ArrayLike, weight: npt.ArrayLike = 1.0) -> Superiority:
    """Mann & Whitney's test on counts by ordered bin, ties corrected; shapes (..., bins), answer (...).

    weight: what a row of `current` counts for, below 1 where rows repeat each other.
    """
    before = np.asarray(reference, dtype=np.float64)
    now = np.asarray(current, dtype=np.float64) * np.asarray(weight, dtype=np.float64)[..., None]
    m, n = before.sum(axis=-1), now.sum(axis=-1)
    some = (m > 0) & (n > 0)
    m, n = np.where(some, m, 1.0), np.where(some, n, 1.0)
    below = np.cumsum(before, axis=-1) - before / 2
    chance = np.where(some, (now * below).sum(axis=-1) / (m * n), 0.5)
    tied, total = before + now, m + n
    spread = total + 1 - (tied**3 - tied).sum(axis=-1) / (total * np.maximum(total - 1, 1e-9))
    variance = spread / (12 * m * n)
    known = some & (variance > 1e-15)
    z = np.where(known, (chance - 0.5) / np.sqrt(np.where(known, variance, 1.0)), 0.0)
    return Superiority(chance, z)


def p_value(z: float) -> float:
    """Of a normal score, two-sided."""
    return erfc(abs(z) / sqrt(2))


def deviations(chance: float) -> float:
    """By how many standard deviations one of two equal normal distributions is over the other at that chance."""
    return sqrt(2) * NormalDist().inv_cdf(min(max(chance, _SURE), 1 - _SURE))
