"""Intervals of the difference between two models on the same rows: DeLong's for ROC AUC, the bootstrap's for the rest.

Both take the rows as independent given the models. In a holdout split by time they are not quite: errors come in
clusters (a storm, an outage), and the intervals are too narrow for what the next weeks will bring. docs/gates.md has
figures. Pairing removes the part that both models share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Figure = Callable[[Floats], Floats]
"""A figure of one model: weights of the rows, shape (b, n), to values, shape (b,); NaN where it is not defined."""

DELONG = "DeLong, DeLong & Clarke-Pearson (1988), computed after Sun & Xu (2014)"
BOOTSTRAP = "paired percentile bootstrap (Efron & Tibshirani 1993), {replicates} replicates"
_CELLS = 100_000  # weights held at once: 0.8 MB, so that they stay in the processor's cache


@dataclass(frozen=True)
class Interval:
    """A two-sided interval of the difference first - second."""

    difference: float
    low: float
    high: float
    error: float  # standard error of the difference
    confidence: float
    method: str


def midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing the mean of theirs; shape (n,) to (n,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def auc(truth: Bools, scores: Floats) -> float:
    """Area under the ROC curve: the chance that a positive row scores above a negative one, ties counting half."""
    positives = int(truth.sum())
    negatives = truth.size - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = midranks(scores)[truth].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def delong(truth: Bools, first: Floats, second: Floats, confidence: float = 0.95) -> Interval:
    """The difference of two ROC AUCs on the same rows, in O(n log n); all arguments have shape (n,).

    Raises ValueError with fewer than two rows of either class, or scores that are not finite. Where both models rank
    every pair alike the variance, and so the interval's width, is 0.
    """
    _finite(first, second)
    positives = int(truth.sum())
    negatives = truth.size - positives
    if min(positives, negatives) < 2:
        raise ValueError(f"expected at least 2 rows of each class, got {positives} positive, {negatives} negative")
    above, below = np.empty((2, positives)), np.empty((2, negatives))
    for row, scores in enumerate((first, second)):
        together = midranks(scores)
        above[row] = (together[truth] - midranks(scores[truth])) / negatives
        below[row] = 1 - (together[~truth] - midranks(scores[~truth])) / positives
    # In the difference of the components what the models share cancels exactly, so that equal models have width 0.
    wins, losses = above[0] - above[1], below[0] - below[1]
    difference = float(wins.mean())
    error = float(np.sqrt(wins.var(ddof=1) / positives + losses.var(ddof=1) / negatives))
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
    return Interval(difference, difference - reach, difference + reach, error, confidence, DELONG)


def bootstrap(
    first: Figure,
    second: Figure,
    rows: int,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    replicates: int = 1000,
) -> Interval:
    """The difference of any figure of two models: `rows` rows are drawn anew with replacement, the same for both.

    Replicates in which the figure is not defined (a class was not drawn) are left out; raises ValueError when these
    are more than a tenth, for then the interval would describe other data.
    """
    if rows < 2:
        raise ValueError(f"expected at least 2 rows, got {rows}")
    everyone = np.ones((1, rows))
    difference = float((first(everyone) - second(everyone))[0])
    drawn = []
    block = max(1, _CELLS // rows)
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        weights = np.empty((size, rows))
        for row in range(size):
            weights[row] = np.bincount(rng.integers(0, rows, rows), minlength=rows)
        drawn.append(first(weights) - second(weights))
    values = np.concatenate(drawn)
    defined = values[np.isfinite(values)]
    if defined.size < 0.9 * replicates or not np.isfinite(difference):
        raise ValueError(
            f"expected a figure that resampled rows define, got {replicates - defined.size} undefined of {replicates} "
            "replicates; a class is too rare in these rows"
        )
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    method = BOOTSTRAP.format(replicates=replicates)
    return Interval(difference, float(low), float(high), float(defined.std(ddof=1)), confidence, method)


def _finite(*scores: Floats) -> None:
    bad = sum(int((~np.isfinite(s)).sum()) for s in scores)
    if bad:
        raise ValueError(f"expected finite scores, got {bad} that are NaN or infinite")
