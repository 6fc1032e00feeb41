"""`serinus demo`: watch the whole loop close on real flights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import context
from services.cli.context import out


def demo(
    state: Annotated[
        Path, typer.Option("--state", help="Folder for the demo; begun anew each time.", file_okay=False)
    ] = Path(".serinus-demo"),
    seconds: Annotated[float, typer.Option(min=60, help="How long the replay from February to October takes.")] = 340,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the loop up afterwards; `serinus down` ends it.")] = False,
) -> None:
    """Replay the flights of 2013: a model grows stale, retrains, takes over by canary; two bad ones are thrown back.

    Exit code 0 only if all of that happened and no request failed.
    """
    from services.demo import report, story

    with context.errors():
        record = story.tell(state, seconds, keep=keep)
        page = state / "report.html"
        report.write(record, page)
        out.print(report.table(record))
        out.print(f"The whole story with plots: {page}", highlight=False)
        if keep:
            out.print(
                f"The loop is still up; `serinus down --state {story.loop_state(state)}` ends it.", highlight=False
            )
            for name, url in record.addresses.items():
                out.print(f"  {name:<12} {url}", highlight=False)
        if record.missed:
            raise typer.Exit(1)
