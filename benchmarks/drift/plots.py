"""The plots of the comparison's page: the same bytes for the same cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.drift.programs import NAMES
from benchmarks.drift.table import EVERY, Cell


def plots(cells: Sequence[Cell], into: Path) -> None:
    """False alarms by case, documented and at the same rate; drifts found by their first window, at the same rate."""
    mpl.rcParams.update({"svg.hashsalt": "serinus", "svg.fonttype": "none"})
    clean = [c for c in cells if c.yearly is not None]
    drifts = [c for c in cells if c.first is not None and c.tuned]
    if clean:
        _dots(
            clean,
            lambda c: f"{c.case}\n{'same rate' if c.tuned else 'documented'}",
            lambda c: c.yearly or 0.0,
            "false alarms a year of daily windows",
            into / "drift-false.svg",
            line=365 / EVERY,
        )
    if drifts:
        share = "found by the first window, % of streams"
        _dots(drifts, lambda c: c.case, lambda c: 100 * (c.first or 0.0), share, into / "drift-found.svg")


def _dots(
    cells: Sequence[Cell],
    place: Callable[[Cell], str],
    value: Callable[[Cell], float],
    label: str,
    path: Path,
    *,
    line: float | None = None,
) -> None:
    places = list(dict.fromkeys(place(c) for c in cells))
    figure = Figure(figsize=(9, 0.5 * len(places) + 1.4), layout="constrained")
    axes = figure.subplots()
    for tool, marker in zip(NAMES, "Dosv^", strict=True):
        mine = [c for c in cells if c.tool == tool]
        axes.plot([value(c) for c in mine], [places.index(place(c)) for c in mine], marker, label=tool, alpha=0.8)
    if line is not None:
        axes.axvline(line, color="grey", linewidth=1, linestyle="--")
        axes.set_xscale("symlog")
    axes.set_yticks(range(len(places)), places)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    figure.savefig(path, metadata={"Date": None})
