"""NannyML on a window: UnivariateDriftCalculator with its defaults: Jensen-Shannon distance of each column, an alert
above mean + 3 standard deviations of the reference's own chunks. Drift when a column has an alert.

A window is a chunk. A reference of ten windows is cut into ten chunks of a window's size, which is the default chunker
too. A column's figure is in standard deviations of the reference's chunks, so that the default threshold is 3.
Environment: nannyml.txt; how to talk to it: drift_wire.py.
"""

from __future__ import annotations

import os
import sys
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # before the import: it sends nothing anywhere

import nannyml

from benchmarks.elsewhere.drift_frames import frame
from benchmarks.elsewhere.drift_wire import Look, Rows, Said, Table, main

METHOD = "jensen_shannon"
warnings.filterwarnings("ignore", "The resulting number of chunks is too low")  # one window is one chunk here

MULTIPLIER = 3.0  # of StandardDeviationThreshold, by default


def fit(reference: Table, rows: int | None) -> Look:
    """The calculator over the reference."""
    categories = reference.of("categorical")
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=list(reference.names), treat_as_categorical=categories, chunk_size=rows
    )
    calculator.fit(frame(reference.rows, reference))
    known = calculator.result.to_df()
    of_reference = known[known[("chunk", "chunk", "period")] == "reference"]
    means = [float(of_reference[(name, METHOD, "value")].mean()) for name in reference.names]

    def look(window: Rows) -> Said:
        found = calculator.calculate(frame(window, reference)).to_df()
        now = found[found[("chunk", "chunk", "period")] == "analysis"]
        figures = []
        for name, mean in zip(reference.names, means, strict=True):
            spread = (float(now[(name, METHOD, "upper_threshold")].iloc[0]) - mean) / MULTIPLIER
            figures.append((float(now[(name, METHOD, "value")].max()) - mean) / max(spread, 1e-12))
        alerts = [bool(now[(name, METHOD, "alert")].any()) for name in reference.names]
        return Said(tuple(figures), any(alerts))

    return look


if __name__ == "__main__":
    main(fit, sys.argv[1:])
