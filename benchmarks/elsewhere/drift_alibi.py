"""alibi-detect on a window: TabularDrift with its defaults: p_val 0.05 over all columns together (Bonferroni).

It takes one array without missing values: in numbers the reference's median stands for them, in categories one more
category. Environment: alibi.txt; how to talk to it: drift_wire.py.
"""

from __future__ import annotations

import sys

import numpy as np
from alibi_detect.cd import TabularDrift

from benchmarks.elsewhere.drift_wire import Look, Rows, Said, Table, main


def fit(reference: Table, _rows: int | None) -> Look:
    """The detector over the reference."""
    numeric = np.array([kind == "numeric" for kind in reference.kinds])
    instead = np.where(numeric, np.nanmedian(reference.rows, axis=0), -1.0)
    categories = {int(column): None for column in np.flatnonzero(~numeric)}
    detector = TabularDrift(_filled(reference.rows, instead), categories_per_feature=categories)

    def look(rows: Rows) -> Said:
        found = detector.predict(_filled(rows, instead))["data"]
        p = np.maximum(np.asarray(found["p_val"], dtype=np.float64), 1e-300)
        return Said(tuple((-np.log10(p)).tolist()), bool(found["is_drift"]))

    return look


def _filled(rows: Rows, instead: Rows) -> Rows:
    return np.where(np.isnan(rows), instead, rows)


if __name__ == "__main__":
    main(fit, sys.argv[1:])
