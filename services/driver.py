"""One look at a loop: read the ledger and the world, let `loop.next` decide, carry the plan out, write the ledger last.

The local supervisor and the operator both drive loops with this and nothing else. Everything it does is level-triggered
and idempotent, so a look that was cut short, or a part that was away, is put right by the next look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from serinus.decide import counts, loop
from serinus.errors import Unavailable
from serinus.facts import Block, CountsQuestion, Plan, RolloutRecord, RunState, Status, World
from serinus.ports import Entry, Ledger, Metrics, Registry, Router, Runner
from serinus.spec import Latency, ModelLoop

T = TypeVar("T")


@dataclass(frozen=True)
class Ports:
    """The world as a driver reaches it."""

    metrics: Metrics
    router: Router
    registry: Registry
    runner: Runner
    ledger: Ledger


def look(spec: ModelLoop, ports: Ports, now: datetime) -> Plan:
    """One look. Raises Unavailable or Conflict when the ledger itself cannot be read or written: look again."""
    entry = ports.ledger.read(spec.name)
    world = observe(spec, ports, entry, now)
    plan = loop.next(spec, entry.status, world, now)
    status = carry_out(spec.name, plan, ports)
    if status != entry.status or plan.events:
        ports.ledger.write(spec.name, status, plan.events, entry.revision)
    return replace(plan, status=status)


def observe(spec: ModelLoop, ports: Ports, entry: Entry, now: datetime) -> World:
    """What can be seen now; what cannot is None and named with its reason."""
    unseen: dict[str, str] = {}
    asked = loop.question(entry.status, now)
    return World(
        versions=_try(unseen, "registry", lambda: ports.registry.versions(spec.name)),
        runs=_try(unseen, "runner", lambda: _runs(spec.name, ports.runner, entry.status)),
        routing=_try(unseen, "router", lambda: ports.router.observe(spec.name)),
        block=_try(unseen, "metrics", lambda: _block(spec, ports.metrics, asked)) if asked is not None else None,
        requests=entry.requests,
        unseen=unseen,
    )


def carry_out(name: str, plan: Plan, ports: Ports) -> Status:
    """Routing, run, aliases, records, in this order. Returns the status to write, with what is still owed.

    What fails is not an error here: routing and aliases are derived anew at every look, a run that the runner does not
    know is asked for again, and records are owed until the registry has them.
    """
    failed: dict[str, str] = {}
    if plan.routing is not None:
        routing = plan.routing
        _try(failed, "router", lambda: ports.router.apply(name, routing))
    if plan.run is not None:
        run = plan.run
        _try(failed, "runner", lambda: ports.runner.submit(run))
    for move in plan.aliases:
        _try(failed, "registry", lambda m=move: ports.registry.alias(name, m.alias, m.version))  # type: ignore[misc]
    owed = tuple(record for record in plan.records if not _recorded(name, ports.registry, record))
    return replace(plan.status, owed=owed)


def _recorded(name: str, registry: Registry, record: RolloutRecord) -> bool:
    try:
        registry.record(name, record)
    except Unavailable:
        return False
    return True


def _runs(name: str, runner: Runner, status: Status) -> tuple[RunState, ...]:
    runs = runner.active(name)
    if status.run is not None and all(r.key != status.run.key for r in runs):
        remembered = runner.find(status.run.key)
        runs = (*runs, remembered) if remembered is not None else runs
    return runs


def _block(spec: ModelLoop, metrics: Metrics, asked: CountsQuestion) -> Block:
    labels = {"loop": spec.name}
    latency = spec.spec.rollout.guardrails.latency
    return counts.block(
        asked,
        metrics.increases(counts.PREDICTIONS, labels, asked.start, asked.end),
        metrics.increases(counts.SECONDS, labels, asked.start, asked.end),
        latency.threshold if latency is not None else Latency().threshold,
    )


def _try(unseen: dict[str, str], subject: str, ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except Unavailable as error:
        unseen[subject] = str(error)
        return None
