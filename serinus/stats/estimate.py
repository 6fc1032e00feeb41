"""How good answers probably are, before anything is known of their truth: from scores that were checked on a holdout.

Confidence-based performance estimation: where a score is calibrated it says itself how likely the answer is right, and
the mean of that over production's rows is the accuracy to expect (NannyML's CBPE, nannyml.readthedocs.io; Guillory et
al. 2021, "Predicting with confidence on unseen distributions"; Garg et al. 2022, "Leveraging unlabeled data to predict
out-of-distribution performance", discuss when it fails). Scores are calibrated on the holdout, by histogram binning
(Zadrozny & Elkan 2001) with lines between the bins' means, as production's rows need not lie in a bin as the holdout's
do. It follows inputs that move, and cannot see that the same inputs have other labels by now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serinus.facts import BINS, Cell, Measured
from serinus.stats.quality import Z, auc, by_bin

Floats = npt.NDArray[np.float64]
GROUP = 50  # holdout rows that a group of neighbouring bins has at least


@dataclass(frozen=True)
class Calibration:
    """How likely a row of each score bin is a hit: `parts @ hit`, a line from one group's mean score to the next's."""

    parts: Floats  # (BINS, groups): how much of each group's share a bin takes; rows sum to 1
    hit: Floats  # (groups,): the share of hits on the holdout
    rows: Floats  # (groups,): its rows there

    @property
    def variance(self) -> Floats:
        """Of the shares, shape (groups,); half a row of each kind is added, since a share of none is not certain."""
        share = (self.hit * self.rows + 0.5) / (self.rows + 1)
        return np.asarray(share * (1 - share) / self.rows)


def calibration(reference: Iterable[Cell], positive: str | None) -> Calibration | None:
    """Shares of hits by groups of neighbouring bins with `GROUP` rows each; None of a holdout with fewer.

    A hit is that `positive` is true; without one, that the answer is.
    """
    rows, hits, scores = by_bin([cell for cell in reference if cell.truth is not None], positive)
    if rows.sum() < GROUP:
        return None
    sums = [np.zeros(3)]
    for b in range(BINS):
        if sums[-1][0] >= GROUP and rows[b:].sum() >= GROUP:
            sums.append(np.zeros(3))
        sums[-1] += (rows[b], hits[b], scores[b])
    n, came, score = np.array(sums).T
    middles = (np.arange(BINS) + 0.5) / BINS
    parts = np.column_stack([np.interp(middles, score / n, one) for one in np.eye(n.size)])
    return Calibration(parts, came / n, n)


def accuracy(reference: Iterable[Cell], cells: Iterable[Cell], positive: str | None) -> Measured | None:
    """The accuracy to expect of the rows of `cells`, labelled or not; None without rows, or without a holdout.

    The error is that of the shares on the holdout, and of the rows' truth given them.
    """
    return calibrated(calibration(reference, positive), cells, positive)


def calibrated(known: Calibration | None, cells: Iterable[Cell], positive: str | None) -> Measured | None:
    """`accuracy`, for who asks it of many windows."""
    hits, others = np.zeros(BINS), np.zeros(BINS)
    for cell in cells:
        (hits if positive is None or cell.answer == positive else others)[cell.bin] += cell.rows
    n = float((hits + others).sum())
    if known is None or n == 0:
        return None
    likely = known.parts @ known.hit
    value = float((hits * likely + others * (1 - likely)).sum()) / n
    unsure = float((((hits - others) @ known.parts) ** 2 * known.variance).sum())
    chance = float(((hits + others) * likely * (1 - likely)).sum())
    error = math.sqrt(unsure + chance) / n
    return Measured(value, error, max(value - Z * error, 0.0), min(value + Z * error, 1.0), round(n))


def roc_auc(reference: Iterable[Cell], cells: Iterable[Cell], positive: str) -> Measured | None:
    """The ROC AUC to expect of the rows of `cells`; None where fewer than two rows of a class are expected.

    The error is DeLong's for the expected rows, and that of the shares on the holdout by the delta method.
    """
    known = calibration(reference, positive)
    if known is None:
        return None
    rows, _, _ = by_bin(cells, positive)

    def of(hit: Floats) -> Measured | None:
        likely = known.parts @ hit
        return auc(rows * likely, rows * (1 - likely))

    found = of(known.hit)
    if found is None:
        return None
    spread, steps = found.error**2, np.sqrt(known.variance) / 10
    for group, step in enumerate(steps):
        moved = known.hit.copy()
        moved[group] += step
        there = of(moved)
        spread += (10 * (there.value - found.value)) ** 2 if there is not None else 0.0
    error = math.sqrt(spread)
    low, high = max(found.value - Z * error, 0.0), min(found.value + Z * error, 1.0)
    return Measured(found.value, error, low, high, found.rows)
