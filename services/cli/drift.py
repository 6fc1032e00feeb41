"""`serinus drift check`: one look of the drift job, by hand or from cron."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import context

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
    raise NotImplementedError
