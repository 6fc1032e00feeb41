"""`serinus erase`: what is kept of somebody's predictions, forgotten for good."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from serinus.errors import Fatal
from services.cli import context
from services.cli.records import Where, kept


def erase(where: Where, ids: Sequence[str], keys: Sequence[str], by: str, reason: str, sure: bool) -> None:
    """Forget them, once the person said yes. Raises Fatal when nobody can be asked."""
    if not ids and not keys:
        raise typer.BadParameter("expected --id or --key of what is to be erased, got neither")
    with kept(where, by, reason) as records:
        found = records.client.find(records.loop, ids, keys)
        said = f"{len(found)} predictions of {records.loop} ({len(ids)} ids and {len(keys)} keys were named)"
        if not sure:
            if not sys.stdin.isatty():
                raise Fatal(f"nobody can be asked whether {said} are to be erased for good; --yes says so")
            typer.confirm(f"Erase {said}, with their labels? This cannot be undone", abort=True, err=True)
        erased = records.client.erase(records.loop, ids, keys)
    context.say(
        f"{erased} predictions of {records.loop} were erased; what comes of those named is refused from now on."
    )
    context.say("The audit trail says who did it and why, and names nobody.")
