"""A plan in the making: the rooms of `decide` add to it in turn, `loop.next` turns it into a Plan."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from serinus.decide.events import EventKind
from serinus.facts import Alias, AliasMove, Event, Plan, RolloutRecord, Routing, RunRequest, Status, World
from serinus.spec import ModelLoop


@dataclass
class Draft:
    """What is known (spec, world, now) and what is decided so far (the rest)."""

    spec: ModelLoop
    world: World
    now: datetime
    status: Status
    run: RunRequest | None = None
    aliases: dict[Alias, int | None] = field(default_factory=dict)
    records: list[RolloutRecord] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def set(self, **changes: Any) -> None:
        """Change fields of the status; mypy cannot see through `replace`, the dataclass refuses unknown names."""
        self.status = replace(self.status, **changes)

    def say(self, kind: EventKind, message: str, version: int | None = None, by: str = "", **figures: float) -> None:
        """Add an event; `by` is the person or job that asked for it."""
        self.events.append(Event(self.now, kind, message, version, figures, by))

    def plan(self, routing: Routing | None) -> Plan:
        """The finished plan."""
        moves = tuple(AliasMove(alias, version) for alias, version in self.aliases.items())
        return Plan(self.status, routing, self.run, moves, tuple(self.records), tuple(self.events))
