"""`serinus drift check`: one look of the drift job, by hand or from cron."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from serinus import wire
from services.cli import context
from services.cli.context import out
from services.drift import local

app = typer.Typer(no_args_is_help=True, help="Look for drift.")


@app.callback()
def _group() -> None:
    """Look for drift."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The ModelLoop file.")],
    state: context.StateOption = context.STATE,
    output: context.OutputOption = context.Output.text,
) -> None:
    """Look once at the live window; exit 0 when it could look, whatever it found, and 1 when it could not."""
    with context.errors():
        look = local.check(file, state, datetime.now(UTC))
    if output == context.Output.json:
        out.print_json(wire.dump(look.finding).decode())
    else:
        out.print(f"{look.finding.verdict.outcome}: {look.finding.verdict.reason}", highlight=False)
        out.print(f"retrain: {look.ask.reason}", highlight=False)
    if not look.looked:
        raise typer.Exit(1)
