"""Smells of a label that leaked into a feature: one column alone tells the answer on rows that no model has seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serinus.stats.paired import Floats, auc

AUC_SMELL = 0.999
_ROWS_PER_VALUE = 10  # a value seen less often may go with one class by chance
_ROWS_PER_CLASS = 10  # fewer may be in order by chance: with ten of each it is one in 184,756
_LINEAR = 1 - 1e-9


@dataclass(frozen=True)
class Leak:
    """A column that tells the label by itself; `figure` is the evidence, `what` says of what kind."""

    column: str
    what: str
    figure: float


def of_values(column: str, codes: npt.NDArray[np.intp], truth: npt.NDArray[np.intp]) -> Leak | None:
    """Whether each value of a column goes with one class only; both have shape (n,) and number values and classes.

    Needs two classes, and on average ten rows a value, or a column of distinct numbers would tell everything.
    """
    values, classes = np.unique(codes).size, np.unique(truth).size
    if classes < 2 or values * _ROWS_PER_VALUE > truth.size:
        return None
    if np.unique(np.stack([codes, truth], axis=1), axis=0).shape[0] > values:
        return None
    what = "stands for the label one to one" if values == classes else "has values that each go with one class only"
    return Leak(column, f"{what} (values)", float(values))


def of_order(column: str, values: Floats, positive: npt.NDArray[np.bool_]) -> Leak | None:
    """Whether ranking by a numeric column alone separates the classes (AUC > 0.999 either way); NaN is left out."""
    there = ~np.isnan(values)
    rarer = min(int(positive[there].sum()), int((~positive[there]).sum()))
    if rarer < _ROWS_PER_CLASS:
        return None
    alone = auc(positive[there], values[there])
    if max(alone, 1 - alone) > AUC_SMELL:
        return Leak(column, "ranks the rows like the label by itself (AUC)", max(alone, 1 - alone))
    return None


def of_line(column: str, values: Floats, truth: Floats) -> Leak | None:
    """Whether a numeric label is a linear function of the column; NaN is left out."""
    there = ~np.isnan(values)
    x, y = values[there], truth[there]
    if x.size < _ROWS_PER_CLASS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    correlation = abs(float(np.corrcoef(x, y)[0, 1]))
    return (
        Leak(column, "is the label up to scale and offset (correlation)", correlation)
        if correlation > _LINEAR
        else None
    )
