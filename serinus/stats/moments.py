"""Means from histograms: where a numeric column's values lie, as far as counts of its bins can tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from serinus.facts import Bins

Floats = npt.NDArray[np.float64]


def of_bins(values: Floats, places: npt.NDArray[np.intp], count: int) -> tuple[tuple[float, ...], float | None]:
    """The mean of each of `count` bins, and the standard deviation of all.

    values: shape (n,), without NaN; places: the bin of each, shape (n,). (), None where there is no spread, where a
    value is infinite, or where a bin is empty: then there is no unit to measure a shift in.
    """
    sizes = np.bincount(places, minlength=count)
    if not np.isfinite(values).all() or not sizes.all():
        return (), None
    sd = float(values.std())
    if not np.isfinite(sd) or sd <= 0:
        return (), None
    means = np.bincount(places, weights=values, minlength=count) / sizes
    return tuple(float(mean) for mean in means), sd


def shift(bins: Bins, current: Sequence[int]) -> float | None:
    """How far the mean of `current` (counts by `bins.labels()`) is from that of `bins.counts`, in `bins.sd`.

    Every row counts as the training mean of its bin, missing ones not at all. So the estimate is exact for the
    training rows, and what moves inside of a bin is not seen: with ten quantile bins of a normal column a small shift
    is understated by 4 to 5 %, one of a whole standard deviation by 10 %, and since the outermost bins stay at their
    training means, 1.75 standard deviations is the most that it can say. For a small shift the share that is seen is
    the variance between the bins over the whole variance; it is lower for long tails (a lognormal column: 0.67).

    None: the column is not numeric, the profile does not know its means, or a side has no row with a value.
    """
    if not bins.means or bins.sd is None:
        return None
    k = len(bins.means)
    before, now = np.asarray(bins.counts[:k], dtype=np.float64), np.asarray(current[:k], dtype=np.float64)
    if before.sum() <= 0 or now.sum() <= 0:
        return None
    means = np.asarray(bins.means)
    return float((now @ means / now.sum() - before @ means / before.sum()) / bins.sd)
