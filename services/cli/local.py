"""A loop on this machine, by its state folder."""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from serinus.adapters import kfp_local_folder
from serinus.errors import SpecError
from serinus.facts import Event, Request, Status
from services.cli import context
from services.cli.page import View
from services.cli.place import Asked
from services.local.addresses import HOST

if TYPE_CHECKING:
    from serinus.spec import RolloutSpec
    from services.local.card import Card

_SHOWN = ("envoy", "mlflow", "prometheus")


class Local:
    """The loop in `state`. Raises Fatal when there is none."""

    options = ""
    pause = 0.1
    patience = 30.0  # looks come once a second

    def __init__(self, state: Path) -> None:
        self._state = state
        self._ledger, self.name = context.ledger(state)

    def status(self) -> Status:
        """What it remembers."""
        return self._ledger.read(self.name).status

    def driven(self) -> None:
        """Raises Fatal when no supervisor is up."""
        context.card(self._state)

    def ask(self, kind: Asked, version: int | None = None, reason: str = "") -> str:
        """Put a request into its inbox."""
        request = Request(uuid.uuid4().hex, kind, datetime.now(UTC), context.person(), version, reason)
        self._ledger.ask(self.name, request)
        return request.id

    def step(self, run: str) -> str:
        """The pipeline's step."""
        return kfp_local_folder.step(self._state / "runs" / run)

    def events(self, limit: int) -> tuple[Event, ...]:
        """The latest events, oldest first."""
        return self._ledger.events(self.name, limit)

    def view(self, events: int) -> View:
        """What there is to show."""
        status = self.status()
        card = context.card_if_up(self._state)
        return View(
            loop=self.name,
            now=datetime.now(UTC),
            status=status,
            up=card is not None,
            addresses={name: card.addresses.url(name) for name in self._shown()} if card is not None else {},
            weights=_weights(card, status) if card is not None else {},
            step=self.step(status.run.key) if status.run is not None else "",
            rollout=_rollout_spec(card) if card is not None and status.rollout is not None else None,
            events=self.events(events) if events else (),
        )

    def _shown(self) -> tuple[str, ...]:
        return (*_SHOWN, "collector") if context.collects(self._state) else _SHOWN

    def more(self) -> Mapping[str, object]:
        """Nothing."""
        return {}


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
