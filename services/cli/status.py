"""`serinus status`: what a loop does now, once, live, or as JSON."""

from __future__ import annotations

import time
from contextlib import suppress

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from serinus import wire
from serinus.errors import Fatal, Unavailable
from services.cli import context, page
from services.cli.context import out
from services.cli.place import Place

_EVENTS = 8
_WATCH_EVENTS = 40  # more than fit; the live page is cut at the terminal's height


def show(place: Place) -> None:
    """Print the page once."""
    context.show(page.page(place.view(_EVENTS)))


def watch(place: Place) -> None:
    """Show the page and follow what happens, until Ctrl-C. Raises Fatal without a terminal."""
    if not out.is_terminal:
        raise Fatal("expected a terminal to watch on; a script may ask `serinus status -o json` again and again")
    shown = page.page(place.view(_WATCH_EVENTS))
    with suppress(KeyboardInterrupt), Live(shown, console=out, auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(1)
            shown, trouble = looked(place, shown)
            live.update(Group(Text(trouble, "red"), shown) if trouble else shown, refresh=True)


def as_json(place: Place) -> None:
    """Print everything that is known, for a script."""
    seen = place.view(0)
    context.answer(
        wire.dump(
            {
                "loop": seen.loop,
                "up": seen.up,
                "addresses": seen.addresses,
                # By version, as the router splits now; null when that cannot be seen.
                "weights": None if seen.weights is None else {str(v): w for v, w in seen.weights.items()},
                "step": seen.step,
                "status": seen.status,
                **place.more(),
            }
        )
    )


def looked(place: Place, before: RenderableType) -> tuple[RenderableType, str]:
    """The page as it is now; as it was and why, while it cannot be seen."""
    try:
        return page.page(place.view(_WATCH_EVENTS)), ""
    except Unavailable as error:
        return before, str(error)
