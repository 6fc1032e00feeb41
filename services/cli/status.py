"""`serinus status`: what a loop does now, once, live, or as JSON."""

from __future__ import annotations

import http.client
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families
from rich.live import Live

from serinus import wire
from serinus.adapters import kfp_local_folder
from serinus.errors import Fatal, SpecError
from services.cli import context, page
from services.cli.context import out
from services.cli.page import View
from services.local.addresses import HOST

if TYPE_CHECKING:
    from serinus.facts import Status
    from serinus.spec import RolloutSpec
    from services.local.card import Card

_SHOWN = ("envoy", "mlflow", "prometheus")
_EVENTS = 8
_WATCH_EVENTS = 40  # more than fit; the live page is cut at the terminal's height


def show(state: Path) -> None:
    """Print the page once."""
    context.show(page.page(view(state)))


def watch(state: Path) -> None:
    """Show the page and follow what happens, until Ctrl-C. Raises Fatal without a terminal."""
    if not out.is_terminal:
        raise Fatal("expected a terminal to watch on; a script may ask `serinus status -o json` again and again")
    with (
        suppress(KeyboardInterrupt),
        Live(page.page(view(state, _WATCH_EVENTS)), console=out, auto_refresh=False, screen=True) as live,
    ):
        while True:
            time.sleep(1)
            live.update(page.page(view(state, _WATCH_EVENTS)), refresh=True)


def as_json(state: Path) -> None:
    """Print everything that is known, for a script."""
    seen = view(state, 0)
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
            }
        )
    )


def view(state: Path, events: int = _EVENTS) -> View:
    """What there is to show. Raises Fatal when `state` has no loop."""
    ledger, loop = context.ledger(state)
    status = ledger.read(loop).status
    card = context.card_if_up(state)
    return View(
        loop=loop,
        now=datetime.now(UTC),
        status=status,
        up=card is not None,
        addresses={name: card.addresses.url(name) for name in _SHOWN} if card is not None else {},
        weights=_weights(card, status) if card is not None else {},
        step=kfp_local_folder.step(state / "runs" / status.run.key) if status.run is not None else "",
        rollout=_rollout_spec(card) if card is not None and status.rollout is not None else None,
        events=ledger.events(loop, events) if events else (),
    )


def _weights(card: Card, status: Status) -> dict[int, int] | None:
    """The shares of traffic as the supervisor last saw them; None when it could not see them."""
    connection = http.client.HTTPConnection(HOST, card.addresses.metrics, timeout=2)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    seen = {
        int(sample.labels["version"]): int(sample.value)
        for family in text_string_to_metric_families(text)
        if family.name == "serinus_rollout_weight"
        for sample in family.samples
    }
    nobody = status.champion is None and status.rollout is None
    return seen if seen or nobody else None


def _rollout_spec(card: Card) -> RolloutSpec | None:
    """How far the canary has to go; None while the file is being edited and is not valid."""
    from serinus import loading

    try:
        return loading.read(Path(card.file)).spec.rollout
    except SpecError:
        return None
