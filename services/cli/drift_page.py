"""A drift finding on a terminal: every distribution in a table, and what of it matters most. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from serinus.decide.shifts import NAMED, ranked, said_of, since_of
from serinus.facts import DriftFinding, FeatureDrift


def distributions(finding: DriftFinding) -> RenderableType:
    """A line a distribution: the drifted ones first, what matters most for the model before the others."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=True, header_style="dim")
    table.add_column("distribution", overflow="fold")
    for name in ("", "PSI", "distance", "mean, sd", "importance"):
        table.add_column(name, justify="left" if name == "" else "right", no_wrap=True)
    table.add_column("largest change", overflow="fold")
    table.add_column("since", overflow="fold")
    drifted = ranked(finding.features)
    rest = sorted((one for one in finding.features if not one.drifted), key=lambda one: -one.psi)
    for one in (*drifted, *rest):
        table.add_row(*(Text(cell, "red" if one.drifted else "") for cell in _cells(one)))
    return table


def most(finding: DriftFinding) -> Iterator[Text]:
    """A line for each of the few that matter most."""
    for one in ranked(finding.features)[:NAMED]:
        if one.shift is not None:
            yield Text(f"  {one.name}: {said_of(one)}")


def _cells(one: FeatureDrift) -> tuple[str, ...]:
    word, moved = "drifted" if one.drifted else "", one.shift
    if moved is None:
        return one.name, word, f"{one.psi:.3f}", "-", "-", "-", "-", ""
    mean = f"{moved.sd:+.2f}" if moved.sd is not None else "-"
    share = "-" if moved.importance is None else f"{100 * moved.importance:.0f} %" if moved.used else "not used"
    return one.name, word, f"{one.psi:.3f}", f"{moved.distance:.3f}", mean, share, moved.largest, since_of(moved)
