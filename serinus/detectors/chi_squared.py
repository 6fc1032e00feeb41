"""The engine `scipy`: `scipy.stats.chi2_contingency`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serinus.detectors.contingency import tables


def p_values(reference: Sequence[Sequence[int]], current: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """P-values of the chi-squared tests, one a feature; see `serinus.detectors.Engine`."""
    from scipy.stats import chi2_contingency  # 0.5 s to import

    return tuple(float(np.float32(chi2_contingency(table).pvalue)) for table in tables(reference, current))
