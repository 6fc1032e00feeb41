"""How unlike each other windows are in which nothing changes, as training's rows show it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from serinus.decide.distributions import RARE, Test, about, kinds
from serinus.facts import Alike, Bins
from serinus.stats import clumps

Counts = npt.NDArray[np.int64]

FEWEST = 5  # stretches: fewer do not tell how unlike each other they are


def alike(bins: Bins, counts: Counts) -> Mapping[str, Alike]:
    """By test; empty where there are too few stretches to tell.

    counts: rows by stretch of time, part of it and bin as `Bins.labels()` orders them, shape (stretches, parts, bins),
    in the order of time. Figures have six digits, since they go into a model's digest.
    """
    if int((counts.sum(axis=(1, 2)) > 0).sum()) < FEWEST:
        return {}
    return {test: _of(bins, test, counts) for test in kinds(bins)}


def _of(bins: Bins, test: Test, counts: Counts) -> Alike:
    if test != "shape":
        found = [clumps.alike(*about(bins, test, counts))]
    else:
        # Stretches may differ in one direction only, for which chi-squared has no mercy: a mean over all bins hides it.
        rows = counts.sum(axis=-1)
        frequent = np.flatnonzero(counts.sum(axis=1).mean(axis=0) >= RARE)
        pairs = [np.stack([counts[..., one], rows - counts[..., one]], axis=-1) for one in frequent]
        found = [clumps.alike(counts), *(clumps.alike(pair, (1.0, 0.0)) for pair in pairs)]
        if bins.kind == "numeric":
            found.append(clumps.alike(*about(bins, "shift", counts)))
    return Alike(*(_digits(max(float(one) for one in side)) for side in zip(*found, strict=True)))


def _digits(value: float) -> float:
    return float(f"{value:.6g}")
