"""The plots of the comparison's page: the same bytes for the same cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.drift.programs import NAMES
from benchmarks.drift.table import EVERY, Cell
from tools.svg import dots


def plots(cells: Sequence[Cell], into: Path) -> None:
    """False alarms by case, documented and at the same rate; drifts found by their first window, at the same rate."""
    clean = [
        (c.tool, f"{c.case}\n{'same rate' if c.tuned else 'documented'}", c.yearly)
        for c in cells
        if c.yearly is not None
    ]
    found = [(c.tool, c.case, 100 * c.first) for c in cells if c.first is not None and c.tuned]
    if clean:
        label, path = "false alarms a year of daily windows", into / "drift-false.svg"
        dots(clean, NAMES, label, path, row=0.5, columns=5, scale="symlog", line=365 / EVERY)
    if found:
        label, path = "found by the first window, % of streams", into / "drift-found.svg"
        dots(found, NAMES, label, path, row=0.5, columns=5)
