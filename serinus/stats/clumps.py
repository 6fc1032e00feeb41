"""How much less rows tell that are not independent: the design effect of counts, from parts of the same traffic.

A client that sends one row a hundred times, values that stay for a while, a morning unlike the night: the counts of a
window then scatter more than independent rows would. By how much shows in how its parts differ from each other. The
window counts for as many rows fewer, which is the first-order correction of chi-squared tests for clustered counts.

Neighbouring parts are compared, since what moves slowly (the hour of the day, a drift under way) cancels in their
difference and is no clump; and runs of parts as well, as a clump may last for more than one.

What is alike for a whole window does not show in its parts: a day unlike other days. It shows in how stretches of
training as long as a window differ from each other by more than their parts do, and weighs the more the more rows a
window has: by the correlation of any two of them, 1 + (rows - 1) * correlation (Kish 1965).

Sources: Kish, "Survey Sampling" (1965); Rao & Scott, "The analysis of categorical data from complex sample surveys"
(1981) and "On chi-squared tests for multiway contingency tables with cell proportions estimated from survey data"
(1984); von Neumann, "Distribution of the ratio of the mean square successive difference to the variance" (1941).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LONG = 4
SPANS = (1, LONG)  # parts, or stretches, that are looked at as one
PRIOR = 2.0  # differences of independent rows that are taken for seen: a few say little
SURE = 1.5  # standard errors by which what is found is taken for more, since a window may look less clumped than it is


def linear(parts: npt.ArrayLike, weights: npt.ArrayLike, spans: Sequence[int] = SPANS, *, spared: int = 0) -> Floats:
    """The design effect, 1 at least, of the mean of `weights` over the rows of all parts.

    parts: counts by bin, shape (..., parts, bins), in the order of time; weights: shape (..., bins), such as 1 for the
    bin whose share is asked for and 0 for the others. Parts without rows are left out. spared: so many of the largest
    differences are left out, since they may be the change that is to be found. Shape of the answer: (...).
    """
    counts = np.asarray(parts, dtype=np.float64)
    scores = np.asarray(weights, dtype=np.float64)[..., None, :]
    total = counts.sum(axis=(-1, -2))
    mean = (counts * scores).sum(axis=(-1, -2)) / np.maximum(total, 1)
    variance = (counts * (scores - mean[..., None, None]) ** 2).sum(axis=(-1, -2)) / np.maximum(total, 1)
    most = np.ones(counts.shape[:-2])
    for span in spans:
        runs = _runs(counts, span)
        rows = runs.sum(axis=-1)
        means = (runs * scores).sum(axis=-1) / np.maximum(rows, 1)
        chance = variance[..., None] * _inverse(rows)
        found = np.where(chance > 0, np.diff(means, axis=-1) ** 2 / np.where(chance > 0, chance, 1), np.nan)
        most = np.maximum(most, _mean(found, 1.0, spared))
    return most


def whole(parts: npt.ArrayLike, spans: Sequence[int] = SPANS, *, spared: int = 0) -> Floats:
    """The mean design effect, 1 at least, of the shares of all bins: what a chi-squared statistic is too large by.

    Arguments and answer as in `linear`.
    """
    counts = np.asarray(parts, dtype=np.float64)
    total = counts.sum(axis=-2)
    shares = total / np.maximum(total.sum(axis=-1, keepdims=True), 1)
    free = np.maximum((total > 0).sum(axis=-1) - 1, 1)
    most = np.ones(counts.shape[:-2])
    for span in spans:
        runs = _runs(counts, span)
        rows = runs.sum(axis=-1)
        found = np.diff(runs / np.maximum(rows, 1)[..., None], axis=-2) ** 2
        used = shares[..., None, :] > 0
        squares = np.where(used, found / np.where(used, shares[..., None, :], 1), 0).sum(axis=-1)
        chance = free[..., None] * _inverse(rows)
        ratio = np.where(chance > 0, squares / np.where(chance > 0, chance, 1), np.nan)
        most = np.maximum(most, _mean(ratio, np.asarray(free, dtype=np.float64), spared))
    return most


class Alike(NamedTuple):
    """Of the rows of many stretches of time."""

    effect: Floats  # the design effect, 1 at least, of all of them
    correlation: Floats  # of any two rows of a stretch, beyond the clumps within it; 0 where chance may be all


def alike(stretches: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Alike:
    """How alike rows of the same stretch are, from how stretches differ from each other and their parts from the next.

    stretches: counts by bin, shape (stretches, parts, bins), in the order of time; weights: as in `linear`, None for
    the shares of all bins as in `whole`. What chance may show is taken off the correlation: a window may have many
    times the rows of a stretch, and makes as many times of it. Of one shape, that of `weights` without its bins.
    """
    counts = np.asarray(stretches, dtype=np.float64)
    between, within = counts.sum(axis=1), counts.reshape(-1, counts.shape[-1])

    def effect(table: Floats, span: int) -> Floats:
        return whole(table, (span,)) if weights is None else linear(table, weights, (span,))

    clumped, there = effect(within, 1), int((between.sum(axis=-1) > 0).sum())
    found = [(effect(between, span), math.sqrt(3 / (max(there // span - 1, 0) + PRIOR))) for span in SPANS]
    beyond = np.max([one - clumped * (1 + chance) for one, chance in found], axis=0, initial=0.0)
    correlation = np.minimum(beyond / max(counts.sum() / max(there, 1), 1.0), 1.0)
    return Alike(np.max([one for one, _ in found], axis=0), correlation)


def _runs(counts: Floats, span: int) -> Floats:
    """The counts of so many parts together; what is left over at the beginning belongs to none."""
    many = counts.shape[-2] // span
    if not many:
        return counts[..., :0, :]
    kept = counts[..., counts.shape[-2] - many * span :, :]
    found: Floats = kept.reshape(*counts.shape[:-2], many, span, counts.shape[-1]).sum(axis=-2)
    return found


def _inverse(rows: Floats) -> Floats:
    """1/a + 1/b of neighbours; 0 where one of them is empty."""
    both = (rows[..., 1:] > 0) & (rows[..., :-1] > 0)
    found: Floats = np.where(both, 1 / np.maximum(rows[..., 1:], 1) + 1 / np.maximum(rows[..., :-1], 1), 0.0)
    return found


def _mean(found: Floats, free: npt.ArrayLike, spared: int) -> Floats:
    """Of differences in units of chance (NaN: none); each stands for `free` degrees of freedom."""
    ordered = np.sort(np.where(np.isnan(found), -np.inf, found), axis=-1)
    kept = ordered[..., : max(ordered.shape[-1] - spared, 0)]
    there = np.isfinite(kept)
    weight = np.asarray(free)
    seen = there.sum(axis=-1) * weight + PRIOR
    mean = (np.where(there, kept, 0).sum(axis=-1) * weight + PRIOR) / seen
    # Squared neighbouring differences of independent normal values: the variance of their mean is 3 / their number.
    upper: Floats = 1 + (mean - 1) * (1 + SURE * np.sqrt(3 / seen))
    return upper
