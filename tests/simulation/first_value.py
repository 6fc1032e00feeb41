"""A program that the comparison of drift checks can ask: its figure of a window is the window's first value."""

from __future__ import annotations

import sys

from benchmarks.elsewhere.drift_wire import Look, Rows, Said, Table, main


def fit(_reference: Table, _rows: int | None) -> Look:
    """Learns nothing."""

    def look(window: Rows) -> Said:
        return Said((float(window[0, 0]),), bool(window[0, 0] > 0))

    return look


if __name__ == "__main__":
    main(fit, sys.argv[1:])
