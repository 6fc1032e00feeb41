"""How good answers probably are, before anything is known of their truth: from scores that were checked on a holdout.

Confidence-based performance estimation: where a score is calibrated it says itself how likely the answer is right, and
the mean of that over production's rows is the accuracy to expect (NannyML's CBPE, nannyml.readthedocs.io; Guillory et
al. 2021, "Predicting with confidence on unseen distributions"; Garg et al. 2022, "Leveraging unlabeled data to predict
out-of-distribution performance", discuss when it fails). Scores are calibrated by histogram binning on the holdout
(Zadrozny & Elkan 2001). It follows inputs that move, and cannot see that the same inputs have other labels by now.
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
    """What the holdout says of each score bin: the group it belongs to, the share of hits there, and its rows."""

    group: npt.NDArray[np.intp]  # (BINS,)
    hit: Floats  # (groups,)
    rows: Floats  # (groups,)


def calibration(reference: Iterable[Cell], positive: str | None) -> Calibration | None:
    """Shares of hits by groups of bins with `GROUP` rows each; None of a holdout with fewer.

    A hit is that `positive` is true; without one, that the answer is.
    """
    rows, hits, _ = by_bin([cell for cell in reference if cell.truth is not None], positive)
    if rows.sum() < GROUP:
        return None
    group, sums = np.zeros(BINS, dtype=np.intp), [[0.0, 0.0]]
    for b in range(BINS):
        if sums[-1][0] >= GROUP and rows[b:].sum() >= GROUP:
            sums.append([0.0, 0.0])
        group[b] = len(sums) - 1
        sums[-1][0] += rows[b]
        sums[-1][1] += hits[b]
    found = np.array(sums)
    return Calibration(group, (found[:, 1] + 0.5) / (found[:, 0] + 1), found[:, 0])


def accuracy(reference: Iterable[Cell], cells: Iterable[Cell], positive: str | None) -> Measured | None:
    """The accuracy to expect of the rows of `cells`, labelled or not; None without rows, or without a holdout.

    The error is that of the shares on the holdout, and of the rows' truth given them.
    """
    known, counted = calibration(reference, positive), list(cells)
    n = sum(cell.rows for cell in counted)
    if known is None or n == 0:
        return None
    right, weight = 0.0, np.zeros(known.hit.size)
    for cell in counted:
        group = known.group[cell.bin]
        other = positive is not None and cell.answer != positive
        right += cell.rows * (1 - known.hit[group] if other else known.hit[group])
        weight[group] += -cell.rows if other else cell.rows
    each = known.hit * (1 - known.hit)
    rows = np.bincount([known.group[c.bin] for c in counted], [c.rows for c in counted], known.hit.size)
    value = right / n
    error = math.sqrt(float((weight**2 * each / known.rows).sum() + (rows * each).sum())) / n
    return Measured(value, error, max(value - Z * error, 0.0), min(value + Z * error, 1.0), n)


def roc_auc(reference: Iterable[Cell], cells: Iterable[Cell], positive: str) -> Measured | None:
    """The ROC AUC to expect of the rows of `cells`; None where fewer than two rows of a class are expected.

    The error is DeLong's for the expected rows, and that of the shares on the holdout by the delta method.
    """
    known = calibration(reference, positive)
    if known is None:
        return None
    rows, _, _ = by_bin(cells, positive)

    def of(hit: Floats) -> Measured | None:
        return auc(rows * hit[known.group], rows * (1 - hit[known.group]))

    found = of(known.hit)
    if found is None:
        return None
    spread, errors = found.error**2, np.sqrt(known.hit * (1 - known.hit) / known.rows)
    for group, step in enumerate(errors):
        moved = known.hit.copy()
        moved[group] += step / 10
        there = of(moved)
        spread += (10 * (there.value - found.value)) ** 2 if there is not None else 0.0
    error = math.sqrt(spread)
    return Measured(
        found.value, error, max(found.value - Z * error, 0.0), min(found.value + Z * error, 1.0), found.rows
    )
