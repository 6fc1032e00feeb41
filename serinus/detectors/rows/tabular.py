"""A test for each column, Kolmogorov-Smirnov's for numbers and chi-squared for categories: TabularDrift."""

from __future__ import annotations

from serinus.detectors.alibi import wanted
from serinus.detectors.rows.sample import Sample, codes


def p_value(reference: Sample, current: Sample) -> float:
    """The smallest of the columns' p-values, times their number (Bonferroni); see `serinus.detectors.rows.Detector`."""
    with wanted():
        from alibi_detect.cd import TabularDrift
    before, after, categories = codes(reference, current)
    detector = TabularDrift(before, categories_per_feature=dict.fromkeys(categories))
    found, _ = detector.score(after)
    return min(1.0, float(found.min()) * len(found))
