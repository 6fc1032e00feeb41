"""Where a loop is: on this machine (services/cli/local.py) or on a cluster (services/cli/cluster.py).

What a word does is the same for both; this is what it needs of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import typer

from serinus.facts import Event, Status
from services.cli.page import View

Asked = Literal["run", "approve", "reject", "rollback"]


class Place(Protocol):
    """One loop, wherever it is."""

    name: str
    options: str
    """What a hint has to add to a command so that it means this loop: ` --loop flights`."""
    pause: float
    """Seconds between two looks at it."""
    patience: float
    """Seconds for a look of the loop's driver to take up what was asked."""

    def status(self) -> Status:
        """What it remembers."""
        ...

    def driven(self) -> None:
        """Raises Fatal when nobody would take up what is asked."""
        ...

    def ask(self, kind: Asked, version: int | None = None, reason: str = "") -> str:
        """Put a request into its inbox; returns the id that `Status.handled` will have."""
        ...

    def step(self, run: str) -> str:
        """Where the run in flight is; empty before it begins."""
        ...

    def events(self, limit: int) -> tuple[Event, ...]:
        """The latest events, oldest first."""
        ...

    def view(self, events: int) -> View:
        """What there is to show, with so many events."""
        ...

    def more(self) -> Mapping[str, object]:
        """What `status -o json` says of this kind of place beside what it says of all."""
        ...


def find(state: Path, loop: str | None, namespace: str | None, context: str | None) -> Place:
    """The loop on the cluster when one is named, else the one in `state`."""
    if loop is not None:
        from services.cli.cluster import Cluster

        return Cluster.connect(loop, namespace, context)
    if namespace is not None or context is not None:
        raise typer.BadParameter("expected --loop NAME beside --namespace and --context; without it the loop is local")
    from services.cli.local import Local

    return Local(state)
