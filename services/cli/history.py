"""`serinus history`: what happened to a loop."""

from __future__ import annotations

from serinus import wire
from services.cli import context, page
from services.cli.context import Output
from services.cli.place import Place


def show(place: Place, limit: int, output: Output) -> None:
    """The latest events, oldest first."""
    events = place.events(limit)
    if output == Output.json:
        context.answer(wire.dump(events))
    elif events:
        context.show(page.history(events))
    else:
        context.say(f"Nothing has happened to {place.name} yet.")
