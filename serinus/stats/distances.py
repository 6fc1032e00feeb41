"""How far two histograms over the same bins are apart: effect sizes, beside the p-values of a test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def psi(reference: Sequence[float], current: Sequence[float]) -> float:
    """Population stability index of `current` against `reference`, counts of the same k bins; symmetric, in nats.

    sum over bins of (q - p) ln(q / p), p and q being the bins' shares (Yurdakul 2018, "Statistical Properties of
    Population Stability Index"). Half a count is added to every bin, which keeps the logarithm finite when a bin is
    empty on one side (Krichevsky and Trofimov 1981, "The performance of universal encoding"; Jeffreys' prior); bins
    that are empty on both sides are left out first, so that a bin nobody uses changes nothing. Without any difference
    its mean is about (k - 1)(1/n + 1/m) for n and m counts, so it needs some hundreds of counts and few bins.

    Raises ValueError when a side has no counts, a negative one, or other bins than the other side.
    """
    p, q = _pair(reference, current)
    p, q = (p + 0.5) / (p + 0.5).sum(), (q + 0.5) / (q + 0.5).sum()
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(reference: Sequence[float], current: Sequence[float]) -> float:
    """Jensen-Shannon distance of two histograms, counts of the same k bins: a metric in [0, 1], no smoothing needed.

    The square root of the mean of both sides' Kullback-Leibler divergences, in bits, to their mixture (Lin 1991,
    "Divergence measures based on the Shannon entropy"; a metric by Endres and Schindelin 2003).

    Raises ValueError as `psi` does.
    """
    p, q = _pair(reference, current)
    p, q = p / p.sum(), q / q.sum()
    mixture = (p + q) / 2
    divergence = (_bits(p, mixture) + _bits(q, mixture)) / 2
    return float(np.sqrt(min(max(divergence, 0.0), 1.0)))  # rounding may leave it a hair outside


def _bits(p: Floats, q: Floats) -> float:
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())


def _pair(reference: Sequence[float], current: Sequence[float]) -> tuple[Floats, Floats]:
    p, q = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if p.ndim != 1 or p.shape != q.shape:
        raise ValueError(f"expected counts of the same bins, got {p.shape} and {q.shape}")
    for name, side in (("reference", p), ("current", q)):
        if not np.isfinite(side).all() or (side < 0).any() or side.sum() <= 0:
            raise ValueError(f"expected {name} counts, none below zero and not all zero, got {side.tolist()}")
    used = (p > 0) | (q > 0)
    return p[used], q[used]
