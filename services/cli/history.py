"""`serinus history`: what happened to a loop."""

from __future__ import annotations

from pathlib import Path

from serinus import wire
from services.cli import context, page
from services.cli.context import Output


def show(state: Path, limit: int, output: Output) -> None:
    """The latest events, oldest first."""
    ledger, loop = context.ledger(state)
    events = ledger.events(loop, limit)
    if output == Output.json:
        context.answer(wire.dump(events))
    elif events:
        context.show(page.history(events))
    else:
        context.say(f"Nothing has happened to {loop} yet.")
