"""What every command shares: where the state is, how errors end, how answers are printed."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from serinus.errors import Fatal, SerinusError, SpecError

if TYPE_CHECKING:
    from serinus.adapters.file_ledger import FileLedger
    from services.local.card import Card

STATE = Path(".serinus")
_WIDE = 1000  # columns where nobody looks: a line stays a line for grep
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Output(StrEnum):
    """How a command answers."""

    text = "text"
    json = "json"


class Target(StrEnum):
    """What serves a loop."""

    envoy = "envoy"
    kubernetes = "kubernetes"


@contextmanager
def errors() -> Iterator[None]:
    """Errors that Serinus raises on purpose end the command with a sentence: 2 for a wrong file, else 1."""
    try:
        yield
    except SpecError as error:
        for problem in error.problems:
            complain(problem)
        raise typer.Exit(2) from None
    except SerinusError as error:
        complain(str(error))
        raise typer.Exit(1) from None


def say(text: str) -> None:
    """A sentence for a person. What stands in it is never taken for markup: it may come from data, logs or people."""
    out.print(Text(text), soft_wrap=True)


def complain(text: str, mark: str = "✗", style: str = "red") -> None:
    """A sentence about what went wrong, on standard error."""
    err.print(Text.assemble((mark, style), " ", text), soft_wrap=True)


def show(renderable: RenderableType) -> None:
    """A table for a person, as wide as the terminal; in a pipe nothing is wrapped."""
    if out.is_terminal:
        out.print(renderable)
        return
    wide = Console(width=_WIDE, highlight=False, file=io.StringIO())
    with wide.capture() as captured:
        wide.print(renderable)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def answer(json: bytes) -> None:
    """JSON for a script: what JSON has no word for (NaN, infinity) is null."""
    import json as text_json

    import orjson

    value = text_json.loads(json)  # orjson does not read NaN, but writes it as null
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def person() -> str:
    """Who asks: the operating system's user name, as far as a laptop can know."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"


def card(state: Path) -> Card:
    """The supervisor that holds `state`. Raises Fatal when none does."""
    found = card_if_up(state)
    if found is None:
        raise Fatal(f"no loop is up in {state}; start one with `serinus up FILE`, or name its folder with --state")
    return found


def card_if_up(state: Path) -> Card | None:
    """The supervisor that holds `state`, None when none does."""
    from services.local import card

    return card.read_card(state) if card.is_running(state) else None


def collects(state: Path) -> bool:
    """Whether the loop in `state` has, or had, a collector."""
    return (state / "collector").exists()


def ledger(state: Path) -> tuple[FileLedger, str]:
    """The ledger in `state` and its loop's name; works without a running supervisor too."""
    from serinus.adapters.file_ledger import FileLedger

    try:
        name = (state / "loop").read_text()
    except OSError:
        raise Fatal(
            f"{state} has no loop yet; start one with `serinus up FILE`, or name its folder with --state"
        ) from None
    return FileLedger(state / "ledger"), name
