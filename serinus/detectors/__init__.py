"""Engines of the drift test, from two histograms to a p-value: one file and one line in `TABLE` each.

What lives here: statistical engines behind one function type. What does not: what follows from a p-value
(`decide/drift.py`), effect sizes (`stats/distances.py`), where counts come from (`adapters/`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from serinus.detectors import alibi, chi_squared

Histogram = Sequence[int]
Engine = Callable[[Sequence[Histogram], Sequence[Histogram]], tuple[float, ...]]
"""`(reference, current) -> p-values`: for every feature the counts of its bins in both samples, same bins in both.

A p-value is that of Pearson's chi-squared test of homogeneity, with Yates' correction when only two bins are in use,
rounded to float32; every engine gives the same bits. A bin that is empty in both samples is left out; with fewer than
two bins left there is nothing to tell apart and the p-value is 1. Raises ValueError when a sample of a feature is
empty. The cost goes with the number of bins and not with the counts.
"""

TABLE: Mapping[str, Engine] = {
    "alibi-detect": alibi.p_values,  # its licence limits production use: see docs/drift.md
    "scipy": chi_squared.p_values,
}
