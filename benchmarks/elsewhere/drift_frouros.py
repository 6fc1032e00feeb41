"""Frouros on a window: KSTest for each number, ChiSquareTest for each category, drift when one p-value is below 0.01.

That is its documentation's quick start (`alpha = 0.01`), column by column: it has no rule for several together. Missing
values are left out, as its tests take none. Environment: frouros.txt; how to talk to it: drift_wire.py.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from frouros.detectors.data_drift import ChiSquareTest, KSTest

from benchmarks.elsewhere.drift_wire import Look, Rows, Said, Table, main

ALPHA = 0.01


def fit(reference: Table, _rows: int | None) -> Look:
    """A detector for each column, fitted."""
    detectors = []
    for column, kind in enumerate(reference.kinds):
        detector = KSTest() if kind == "numeric" else ChiSquareTest()
        detector.fit(X=_present(reference.rows[:, column], kind))
        detectors.append(detector)

    def look(rows: Rows) -> Said:
        p = [
            float(detector.compare(X=_present(rows[:, column], kind))[0].p_value)
            for column, (detector, kind) in enumerate(zip(detectors, reference.kinds, strict=True))
        ]
        return Said(tuple(-math.log10(max(one, 1e-300)) for one in p), min(p) < ALPHA)

    return look


def _present(values: Rows, kind: str) -> np.ndarray:  # type: ignore[type-arg]
    there = values[~np.isnan(values)]
    return there if kind == "numeric" else there.astype(np.int64)


if __name__ == "__main__":
    main(fit, sys.argv[1:])
