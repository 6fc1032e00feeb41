"""A drift finding on a terminal: every distribution in a table, and what of it matters most. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from serinus.drift_words import HEAD, NAMED, ranked, row, said_of
from serinus.facts import DriftFinding


def distributions(finding: DriftFinding) -> RenderableType:
    """A line a distribution: the drifted ones first, what matters most to the model before the others."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=True, header_style="dim")
    for name in ("", *HEAD):
        table.add_column(name, overflow="fold")
    drifted = ranked(finding.features)
    rest = sorted((one for one in finding.features if not one.drifted), key=lambda one: -one.psi)
    for one in (*drifted, *rest):
        cells = ("drifted" if one.drifted else "", *row(one))
        table.add_row(*(Text(cell, "red" if one.drifted else "") for cell in cells))
    return table


def most(finding: DriftFinding) -> Iterator[Text]:
    """A line for each of the few that matter most."""
    for one in ranked(finding.features)[:NAMED]:
        if one.shift is not None:
            yield Text(f"  {one.name}: {said_of(one)}")
