"""Bins of a column: made once from training rows, counted ever after by predictors, compared by the drift job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from serinus.facts import Bins
from serinus.stats import moments

Floats = npt.NDArray[np.float64]


def numeric(name: str, values: Floats, count: int = 10) -> Bins:
    """Bins of equal mass in `values` (shape (n,), NaN means missing), with the mean of each; ties merge bins, so there
    may be fewer.

    Quantile bins are the usual choice for the population stability index (Yurdakul 2018, "Statistical properties of
    population stability index").
    """
    present = values[~np.isnan(values)]
    if present.size == 0:
        return tally(Bins(name, "numeric"), values)
    inner = np.quantile(present, np.linspace(0, 1, count + 1)[1:-1], method="inverted_cdf")
    edges = np.unique(inner[inner < present.max()])
    bins = Bins(name, "numeric", edges=tuple(float(e) for e in edges))
    means, sd = moments.of_bins(present, place(bins, present), len(edges) + 1)
    return tally(replace(bins, means=means, sd=sd), values)


def categorical(name: str, values: Sequence[str | None]) -> Bins:
    """A bin for each category of `values`, in sorted order; None means missing."""
    categories = tuple(sorted({v for v in values if v is not None}))
    bins = Bins(name, "categorical", categories=categories)
    return tally(bins, values)


def place(bins: Bins, values: Floats | Sequence[str | None]) -> npt.NDArray[np.intp]:
    """For every value the position of its bin in `bins.labels()`; shape (n,)."""
    labels = bins.labels()
    missing, unseen = len(labels) - 2, len(labels) - 1
    if bins.kind == "numeric":
        floats = np.asarray(values, dtype=np.float64)
        where = np.searchsorted(np.asarray(bins.edges), floats, side="left")
        return np.where(np.isnan(floats), missing, where).astype(np.intp)
    known = {c: i for i, c in enumerate(bins.categories)}
    return np.array([missing if v is None else known.get(str(v), unseen) for v in values], dtype=np.intp)


def tally(bins: Bins, values: Floats | Sequence[str | None]) -> Bins:
    """`bins` with the counts of `values`."""
    counts = np.bincount(place(bins, values), minlength=len(bins.labels()))
    return replace(bins, counts=tuple(int(c) for c in counts))
