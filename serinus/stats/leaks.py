"""Smells of a label that leaked into a feature: one column alone tells the answer on rows that no model has seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serinus.stats.paired import Floats, auc

AUC_SMELL = 0.999
_ROWS_PER_VALUE = 10  # a value seen less often may go with one class by chance
_LINEAR = 1 - 1e-9


@dataclass(frozen=True)
class Leak:
    """A column that tells the label by itself; `figure` is the evidence, `what` says of what kind."""

    column: str
    what: str
    figure: float


def of_values(column: str, values: npt.NDArray[np.object_], truth: npt.NDArray[np.intp]) -> Leak | None:
    """Whether each value of a column goes with one class only; both have shape (n,), values are text or None.

    Needs two classes, and on average ten rows a value, or a column of distinct numbers would tell everything.
    """
    _, codes = np.unique(values.astype(str), return_inverse=True)
    count, classes = int(codes.max(initial=-1)) + 1, np.unique(truth)
    if classes.size < 2 or count * _ROWS_PER_VALUE > truth.size:
        return None
    pairs = np.unique(np.stack([codes, truth], axis=1), axis=0).shape[0]
    if pairs > count:
        return None
    what = "stands for the label one to one" if count == classes.size else "has values that each go with one class only"
    return Leak(column, what, float(count))


def of_order(column: str, values: Floats, positive: npt.NDArray[np.bool_]) -> Leak | None:
    """Whether ranking by a numeric column alone separates the classes (AUC > 0.999 either way); NaN is left out."""
    there = ~np.isnan(values)
    alone = auc(positive[there], values[there])
    if max(alone, 1 - alone) > AUC_SMELL:
        return Leak(column, "ranks the rows like the label by itself (AUC)", max(alone, 1 - alone))
    return None


def of_line(column: str, values: Floats, truth: Floats) -> Leak | None:
    """Whether a numeric label is a linear function of the column; NaN is left out."""
    there = ~np.isnan(values)
    x, y = values[there], truth[there]
    if x.size < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    correlation = abs(float(np.corrcoef(x, y)[0, 1]))
    return (
        Leak(column, "is the label up to scale and offset (correlation)", correlation)
        if correlation > _LINEAR
        else None
    )
