"""One look: what could be seen, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from serinus.facts.memory import Event, Request, RolloutRecord, Status
from serinus.facts.models import Alias, Version
from serinus.facts.runs import RunRequest, RunState
from serinus.facts.traffic import Block, Routing, RoutingState


@dataclass(frozen=True)
class Writer:
    """Who wrote the spec as it is now, as far as a driver can tell."""

    by: str = "unknown"
    said: str = ""  # where that is known from, and what it is worth
    generation: int | None = None  # as in SpecKept


@dataclass(frozen=True)
class World:
    """What could be seen at one look. None means that it could not be seen, which is not the same as empty."""

    versions: tuple[Version, ...] | None
    runs: tuple[RunState, ...] | None
    routing: RoutingState | None
    block: Block | None = None  # the interval that `loop.question` asked for
    requests: tuple[Request, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)  # what could not be seen -> why
    since: datetime | None = None  # when this driver began to look; before that nobody may have looked
    scrape: timedelta = timedelta(seconds=1)  # how often Prometheus reads the counters
    writer: Writer = Writer()  # of the spec


@dataclass(frozen=True)
class AliasMove:
    """`alias` should point at `version`; None takes it away."""

    alias: Alias
    version: int | None


@dataclass(frozen=True)
class Plan:
    """What one look leads to. The driver carries it out in this order and writes `status` last."""

    status: Status
    routing: Routing | None = None  # None: leave it as it is
    run: RunRequest | None = None
    aliases: tuple[AliasMove, ...] = ()
    records: tuple[RolloutRecord, ...] = ()
    events: tuple[Event, ...] = ()
