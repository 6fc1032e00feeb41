"""How good answers were, from counts alone: what was true, what was answered, in which bin the score was.

Every figure comes with its standard error and its interval at 95 %. Rows are taken as independent; that days differ
beyond that is for who compares days (`serinus.decide.quality`). Figures that are not defined are left out.

Intervals: of shares Wilson's (1927), as Brown, Cai & DasGupta advise (2001, "Interval estimation for a binomial
proportion"); of ROC AUC DeLong, DeLong & Clarke-Pearson's (1988) on the binned scores, whose ties count half; of macro
averages and of F1 by the delta method and its like (Takahashi et al. 2022, "Confidence interval for micro-averaged F1
and macro-averaged F1 scores"); of means normal, of the root of a mean its root.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from serinus.facts import BINS, Cell, ErrorSums, Measured, Tally

Floats = npt.NDArray[np.float64]

Z = NormalDist().inv_cdf(0.975)
LEAST = 0.5 / BINS
"""Log-loss takes a probability for at least this: a bin says no more, and one certain mistake would outweigh a day."""


def cells(truth: Sequence[str | None], answers: Sequence[str], scores: Floats) -> tuple[Cell, ...]:
    """Rows counted as the collector counts them; all three of the same length. In the order of truth, answer, bin."""
    places = np.clip((scores * BINS).astype(np.intp), 0, BINS - 1)
    sums: dict[tuple[bool, str, str, int], list[float]] = {}
    for true, answer, place, score in zip(truth, answers, places.tolist(), scores.tolist(), strict=True):
        found = sums.setdefault((true is not None, true or "", answer, place), [0, 0.0, 0.0])
        found[0] += 1
        found[1] += score
        found[2] += score * score
    return tuple(
        Cell(true if known else None, answer, place, int(rows), score, squares)
        for (known, true, answer, place), (rows, score, squares) in sorted(sums.items())
    )


def errors(predicted: Floats, truth: Floats) -> ErrorSums:
    """The sums over a regression's rows; both have shape (n,)."""
    e = predicted - truth
    return ErrorSums(e.size, float(e.sum()), float(np.abs(e).sum()), float((e**2).sum()), float((e**4).sum()))


def classified(counted: Iterable[Cell], positive: str | None) -> dict[str, Measured]:
    """Every figure of a classification by its name; cells without a truth do not count.

    With `positive` precision, recall and f1 are that class's, and the scores are its probability, so that there are
    roc_auc, brier and log_loss. Without, they are means over the classes that occur (macro).
    """
    known = [cell for cell in counted if cell.truth is not None]
    return {name: figure for name in CLASSIFICATION if (figure := CLASSIFICATION[name](known, positive)) is not None}


def regressed(sums: ErrorSums) -> dict[str, Measured]:
    """mae, rmse and bias (the mean of prediction - truth)."""
    return {name: figure for name in REGRESSION if (figure := REGRESSION[name](sums)) is not None}


def measured(metric: str, tally: Tally, positive: str | None) -> Measured | None:
    """The figure `metric` on the labelled rows of a tally; None where it is not defined (yet)."""
    if metric in REGRESSION:
        return REGRESSION[metric](tally.errors) if tally.errors is not None else None
    return CLASSIFICATION[metric]([cell for cell in tally.cells if cell.truth is not None], positive)


def missing(tally: Tally) -> Measured | None:
    """The share of rows without a label; None of no rows."""
    return share(tally.rows - tally.labelled, tally.rows)


def worth(counted: Iterable[Cell], worths: Mapping[str, Mapping[str, float]]) -> Measured | None:
    """What a labelled row was worth on average (times `rows`: in all); None of no labelled rows.

    worths: truth -> answer -> worth of one; what is not named is worth 0.
    """
    known = [cell for cell in counted if cell.truth is not None]
    each = [worths.get(str(cell.truth), {}).get(cell.answer, 0.0) for cell in known]
    return _mean(np.array(each), _rows(known))


def share(hits: float, rows: int) -> Measured | None:
    """A share with Wilson's interval; None of no rows."""
    if rows == 0:
        return None
    p, z2 = hits / rows, Z * Z
    middle = (hits + z2 / 2) / (rows + z2)
    half = Z / (rows + z2) * math.sqrt(rows * p * (1 - p) + z2 / 4)
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return Measured(p, math.sqrt(p * (1 - p) / rows), low if hits > 0 else 0.0, high if hits < rows else 1.0, rows)


def auc(positives: Floats, negatives: Floats) -> Measured | None:
    """ROC AUC from rows by score bin, both of shape (bins,), with DeLong's error; None with fewer than two of a class.

    Scores of one bin count as ties, which moves the figure by at most half the share of pairs that fall into one bin.
    Where nothing is out of order, so that DeLong's error is 0, the interval is the rule of three's on the rarer class
    (Hanley & Lippman-Hand 1983).
    """
    p, n = float(positives.sum()), float(negatives.sum())
    if min(p, n) < 2:
        return None
    above = (np.cumsum(negatives) - negatives / 2) / n  # share of negatives that a positive of this bin is above
    below = (p - np.cumsum(positives) + positives / 2) / p
    value = float((positives * above).sum() / p)
    spread = float((positives * (above - value) ** 2).sum() / (p - 1) / p)
    spread += float((negatives * (below - value) ** 2).sum() / (n - 1) / n)
    error = math.sqrt(spread)
    half = max(Z * error, 3 / min(p, n) if error == 0 else 0.0)
    return Measured(value, error, max(value - half, 0.0), min(value + half, 1.0), round(p + n))


def by_bin(known: Iterable[Cell], positive: str | None) -> tuple[Floats, Floats, Floats]:
    """(rows, hits, sums of scores) by score bin. A hit: `positive` was true; without one, what was answered was."""
    rows, hits, scores = np.zeros(BINS), np.zeros(BINS), np.zeros(BINS)
    for cell in known:
        rows[cell.bin] += cell.rows
        scores[cell.bin] += cell.score
        if cell.truth == (cell.answer if positive is None else positive):
            hits[cell.bin] += cell.rows
    return rows, hits, scores


Known = Sequence[Cell]


def _rows(known: Known) -> Floats:
    return np.array([cell.rows for cell in known], dtype=np.float64)


def _mean(values: Floats, rows: Floats) -> Measured | None:
    """The mean of `values`, each of so many rows; None of no rows."""
    n = float(rows.sum())
    if n == 0:
        return None
    value = float((values * rows).sum() / n)
    error = math.sqrt(float((rows * (values - value) ** 2).sum()) / n / n)
    return Measured(value, error, value - Z * error, value + Z * error, round(n))


def _accuracy(known: Known, _positive: str | None) -> Measured | None:
    hits = sum(cell.rows for cell in known if cell.truth == cell.answer)
    return share(hits, sum(cell.rows for cell in known))


def _roc_auc(known: Known, positive: str | None) -> Measured | None:
    if positive is None:
        return None
    rows, hits, _ = by_bin(known, positive)
    return auc(hits, rows - hits)


def _brier(known: Known, positive: str | None) -> Measured | None:
    """Exact from sums and squares; its error takes the rows of a cell for alike."""
    if positive is None:
        return None
    rows, score, squares = (np.array([getattr(c, k) for c in known], float) for k in ("rows", "score", "squares"))
    there = np.array([cell.truth == positive for cell in known], dtype=bool)
    return _not_below_zero(_mean(np.where(there, rows - 2 * score + squares, squares) / np.maximum(rows, 1), rows))


def _log_loss(known: Known, positive: str | None) -> Measured | None:
    """By cell, from the mean and the variance of its scores to second order; probabilities are `LEAST` at least."""
    if positive is None:
        return None
    rows, score, squares = (np.array([getattr(c, k) for c in known], float) for k in ("rows", "score", "squares"))
    there = np.array([cell.truth == positive for cell in known], dtype=bool)
    mean = score / np.maximum(rows, 1)
    variance = np.maximum(squares / np.maximum(rows, 1) - mean**2, 0)
    p = np.where(there, mean, 1 - mean)
    curved = np.where(p >= 2 * LEAST, variance / (2 * np.maximum(p, LEAST) ** 2), 0)
    return _not_below_zero(_mean(-np.log(np.maximum(p, LEAST)) + curved, rows))


def _not_below_zero(found: Measured | None) -> Measured | None:
    return found and Measured(found.value, found.error, max(found.low, 0.0), found.high, found.rows)


def _confusion(known: Known) -> Floats:
    """Rows by truth (rows) and answer (columns), over the classes that occur in either."""
    names = sorted({str(c.truth) for c in known} | {c.answer for c in known})
    place = {name: i for i, name in enumerate(names)}
    found = np.zeros((len(names), len(names)))
    for cell in known:
        found[place[str(cell.truth)], place[cell.answer]] += cell.rows
    return found


def _macro(known: Known, by_answer: float, by_truth: float) -> Measured | None:
    """Mean over classes of hits / (by_answer x answered + by_truth x true), a class without any of either counting 0.

    (1, 0) is precision, (0, 1) recall, (1/2, 1/2) F1. The error is the delta method's for multinomial counts.
    """
    table = _confusion(known)
    n, k = float(table.sum()), len(table)
    if n == 0:
        return None
    of = (by_answer * table.sum(axis=0) + by_truth * table.sum(axis=1)) / n
    safe = np.where(of > 0, of, 1.0)
    each = np.diag(table) / n / safe
    slope = -(by_answer * each / safe)[None, :] - (by_truth * each / safe)[:, None] + np.diag(1 / safe)
    value, error = float(each.mean()), math.sqrt(float((table * slope**2).sum())) / n / k
    return Measured(value, error, max(value - Z * error, 0.0), min(value + Z * error, 1.0), round(n))


def _binary(known: Known, positive: str) -> tuple[int, int, int]:
    """(hits, false alarms, misses) of the positive class."""
    hits = sum(c.rows for c in known if c.truth == positive == c.answer)
    alarms = sum(c.rows for c in known if c.answer == positive) - hits
    return hits, alarms, sum(c.rows for c in known if c.truth == positive) - hits


def _precision(known: Known, positive: str | None) -> Measured | None:
    if positive is None:
        return _macro(known, 1, 0)
    hits, alarms, _ = _binary(known, positive)
    return share(hits, hits + alarms)


def _recall(known: Known, positive: str | None) -> Measured | None:
    if positive is None:
        return _macro(known, 0, 1)
    hits, _, misses = _binary(known, positive)
    return share(hits, hits + misses)


def _f1(known: Known, positive: str | None) -> Measured | None:
    """F1 rises with the share j of hits among the rows that are positive or called so, as 2j / (1 + j)."""
    if positive is None:
        return _macro(known, 0.5, 0.5)
    found = share((counts := _binary(known, positive))[0], sum(counts))
    if found is None:
        return None
    value, low, high = (2 * j / (1 + j) for j in (found.value, found.low, found.high))
    return Measured(value, found.error * 2 / (1 + found.value) ** 2, low, high, found.rows)


def _moment(total: float, squares: float, rows: int) -> tuple[float, float]:
    """(mean, its standard error) from sums of values and of their squares."""
    mean = total / rows
    return mean, math.sqrt(max(squares / rows - mean * mean, 0.0) / rows)


def _mae(sums: ErrorSums) -> Measured | None:
    if sums.rows == 0:
        return None
    value, error = _moment(sums.absolute, sums.squares, sums.rows)
    return Measured(value, error, max(value - Z * error, 0.0), value + Z * error, sums.rows)


def _rmse(sums: ErrorSums) -> Measured | None:
    """The interval is the mean square's, rooted; the error is the delta method's."""
    if sums.rows == 0:
        return None
    square, error = _moment(sums.squares, sums.fourths, sums.rows)
    value = math.sqrt(square)
    low, high = math.sqrt(max(square - Z * error, 0.0)), math.sqrt(square + Z * error)
    return Measured(value, error / (2 * value) if value > 0 else 0.0, low, high, sums.rows)


def _bias(sums: ErrorSums) -> Measured | None:
    if sums.rows == 0:
        return None
    value, error = _moment(sums.total, sums.squares, sums.rows)
    return Measured(value, error, value - Z * error, value + Z * error, sums.rows)


CLASSIFICATION: Mapping[str, Callable[[Known, str | None], Measured | None]] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "roc_auc": _roc_auc,
    "brier": _brier,
    "log_loss": _log_loss,
}
REGRESSION: Mapping[str, Callable[[ErrorSums], Measured | None]] = {"mae": _mae, "rmse": _rmse, "bias": _bias}
