"""What every command shares: where the state is, how errors end, how answers are printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from serinus.adapters.file_ledger import FileLedger
from serinus.errors import Fatal, SerinusError, SpecError
from services.local import supervisor
from services.local.supervisor import Card

out = Console()
err = Console(stderr=True)


class Output(StrEnum):
    """How a command answers."""

    text = "text"
    json = "json"


StateOption = Annotated[
    Path,
    typer.Option("--state", envvar="SERINUS_STATE", help="Folder of the loop's local state.", file_okay=False),
]
STATE = Path(".serinus")
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="text for people, json for scripts.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Kept with the event and the version.")]


@contextmanager
def errors() -> Iterator[None]:
    """Errors that Serinus raises on purpose end the command with a sentence: 2 for a wrong file, else 1."""
    try:
        yield
    except SpecError as error:
        for problem in error.problems:
            err.print(f"[red]✗[/red] {problem}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except SerinusError as error:
        err.print(f"[red]✗[/red] {error}", highlight=False, soft_wrap=True, markup=True)
        raise typer.Exit(1) from None


def person() -> str:
    """Who asks: the operating system's user name, as far as a laptop can know."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"


def card(state: Path) -> Card:
    """The supervisor that holds `state`. Raises Fatal when none does."""
    found = supervisor.read_card(state)
    if found is None or not supervisor.is_running(state):
        raise Fatal(f"no loop is up in {state}; start one with `serinus up FILE`, or name its folder with --state")
    return found


def ledger(state: Path) -> tuple[FileLedger, str]:
    """The ledger in `state` and its loop's name; works without a running supervisor too."""
    mine = state / "loop"
    if not mine.exists():
        raise Fatal(f"{state} has no loop yet; start one with `serinus up FILE`, or name its folder with --state")
    return FileLedger(state / "ledger"), mine.read_text()


def is_terminal() -> bool:
    """Whether a person looks on."""
    return sys.stdout.isatty()
