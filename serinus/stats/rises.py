"""Whether a small share of rows has grown: missing values, values that training never saw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def p_value(before: npt.ArrayLike, of: npt.ArrayLike, now: npt.ArrayLike, rows: npt.ArrayLike) -> Floats:
    """Of `now` among `rows` against `before` among `of`, one-sided: how often as many or more come by chance.

    Exact for rare events (Przyborowski & Wilenski 1940, "Homogeneity of results in testing samples from Poisson
    series"), too large for frequent ones, whose share scatters less than a Poisson count. Counts need not be whole:
    those of rows that repeat each other stand for fewer. All of one shape, which is the answer's.
    """
    from scipy.special import betainc  # 0.1 s to import

    x, y, n = (np.asarray(value, dtype=np.float64) for value in (now, before, rows))
    share = n / (n + np.asarray(of, dtype=np.float64))
    found: Floats = np.where(x > 0, betainc(np.maximum(x, 1e-12), y + 1, share), 1.0)
    return found
