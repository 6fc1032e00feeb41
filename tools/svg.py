"""Plots of generated pages, as SVG: the same bytes for the same figures, so that a stale one is seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.figure import Figure

Point = tuple[str, str, float]
"""Whose it is, the row it stands in, the value."""


def save(figure: Figure, path: Path) -> None:
    """Write the figure; text stays text."""
    with mpl.rc_context({"svg.hashsalt": "serinus", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def dots(
    points: Sequence[Point],
    names: Sequence[str],
    label: str,
    path: Path,
    *,
    row: float,
    columns: int,
    scale: Literal["linear", "log", "symlog"] = "linear",
    line: float | None = None,
) -> None:
    """A row for each place in the order of `points`, a marker for each of `names`; at most six.

    label: of the values. row: its height in inches. columns: of the legend. line: a value to compare with.
    """
    places = list(dict.fromkeys(place for _, place, _ in points))
    figure = Figure(figsize=(9, row * len(places) + 1.4), layout="constrained")
    axes = figure.subplots()
    for name, marker in zip(names, "Dosv^X"[: len(names)], strict=True):
        mine = [(value, places.index(place)) for whose, place, value in points if whose == name]
        axes.plot([value for value, _ in mine], [place for _, place in mine], marker, label=name, alpha=0.8)
    if line is not None:
        axes.axvline(line, color="grey", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(places)), places)
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_xlabel(label)
    axes.set_xscale(scale)
    if scale == "symlog":  # of counts, which are not negative
        axes.set_xlim(-0.3, 2 * max(value for _, _, value in points))
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=columns, frameon=False)
    save(figure, path)
