"""One look at a loop: read the ledger and the world, let `loop.next` decide, carry the plan out, write the ledger last.

What happened goes into the audit trail once the ledger has it.

The local supervisor and the operator both drive loops with this and nothing else. Everything it does is level-triggered
and idempotent, so a look that was cut short, or a part that was away, is put right by the next look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from serinus.decide import counts, loop
from serinus.errors import Fatal, SerinusError, Unavailable
from serinus.facts import Block, CountsQuestion, Event, Plan, RolloutRecord, RunState, Status, World, Writer
from serinus.ports import Entry, Ledger, Metrics, Registry, Router, Runner
from serinus.spec import Latency, ModelLoop, Ratio
from services.trail import Trail

T = TypeVar("T")


@dataclass(frozen=True)
class Ports:
    """The world as a driver reaches it."""

    metrics: Metrics
    router: Router
    registry: Registry
    runner: Runner
    ledger: Ledger
    trail: Trail | None = None  # the audit trail; None: none is kept


@dataclass(frozen=True)
class Looked:
    """What was seen at a look, the plan that was carried out, and what of it could not be: part -> why."""

    world: World
    plan: Plan
    failed: Mapping[str, str] = field(default_factory=dict)


def look(
    loop_name: str,
    read: Callable[[], ModelLoop],
    ports: Ports,
    now: datetime,
    since: datetime,
    troubles: Mapping[str, str] | None = None,
    scrape: timedelta = loop.SCRAPE,
    writer: Callable[[], Writer] = Writer,
) -> Looked:
    """One look; `since` is when this driver began to look, `scrape` how often Prometheus reads the counters.

    The spec is read after the ledger: whoever edits it and then asks for a run gets a run by the edited spec.
    troubles: what else is wrong, by subject, as far as the driver's owner knows (`Looked.failed` of the look before
    belongs to it); it is said and shown like a part that cannot be seen. writer: who wrote what `read` has read.

    Raises Unavailable or Conflict when the ledger itself cannot be read or written: look again.
    """
    entry = ports.ledger.read(loop_name)
    spec = read()
    seen = observe(spec, ports, entry, now, scrape)
    world = replace(seen, since=since, unseen={**(troubles or {}), **seen.unseen}, writer=writer())
    plan, failed = carry_out(spec.name, loop.next(spec, entry.status, world, now), ports, now)
    if plan.status != entry.status or plan.events:
        ports.ledger.write(spec.name, plan.status, plan.events, entry.revision)
    if ports.trail is not None and (why := ports.trail.keep(spec.name, plan.events, ports.ledger)):
        failed = {**failed, "audit": why}
    return Looked(world, plan, failed)


def observe(spec: ModelLoop, ports: Ports, entry: Entry, now: datetime, scrape: timedelta = loop.SCRAPE) -> World:
    """What can be seen now; what cannot is None and named with its reason."""
    unseen: dict[str, str] = {}
    asked = loop.question(spec, entry.status, now, scrape)
    return World(
        versions=_try(unseen, "registry", lambda: ports.registry.versions(spec.name)),
        runs=_try(unseen, "runner", lambda: _runs(spec.name, ports.runner, entry.status)),
        routing=_try(unseen, "router", lambda: ports.router.observe(spec.name)),
        block=_try(unseen, "metrics", lambda: _block(spec, ports.metrics, asked)) if asked is not None else None,
        requests=entry.requests,
        unseen=unseen,
        scrape=scrape,
    )


def carry_out(name: str, plan: Plan, ports: Ports, now: datetime) -> tuple[Plan, Mapping[str, str]]:
    """Routing, run, aliases, records, in this order. Returns the plan with what is still owed, and what went wrong.

    A part that fails does not keep the others from their work: routing and aliases are derived anew at every look, a
    run that the runner does not know is asked for again, and records are owed until the registry has them.
    """
    failed: dict[str, str] = {}
    events: list[Event] = []
    owed: list[RolloutRecord] = []
    if plan.routing is not None:
        routing = plan.routing
        _try(failed, "router", lambda: ports.router.apply(name, routing))
    if plan.run is not None:
        run = plan.run
        _try(failed, "runner", lambda: ports.runner.submit(run))
    for move in plan.aliases:
        try:
            ports.registry.alias(name, move.alias, move.version)
        except Unavailable as error:
            failed["registry"] = str(error)
        except Fatal as error:
            events.append(Event(now, "RecordLost", f"alias {move.alias} could not be moved: {error}", move.version))
    for record in plan.records:
        try:
            ports.registry.record(name, record)
        except Unavailable as error:
            failed["registry"] = str(error)
            owed.append(record)
        except Fatal as error:  # the version was deleted by hand: there is nothing to keep the record with
            events.append(Event(now, "RecordLost", f"{record.outcome}, {record.reason}: {error}", record.version))
    done = replace(plan, status=replace(plan.status, owed=tuple(owed)), events=(*plan.events, *events))
    return done, failed


def _runs(name: str, runner: Runner, status: Status) -> tuple[RunState, ...]:
    runs = runner.active(name)
    if status.run is not None and all(r.key != status.run.key for r in runs):
        remembered = runner.find(status.run.key)
        runs = (*runs, remembered) if remembered is not None else runs
    return runs


def _block(spec: ModelLoop, metrics: Metrics, asked: CountsQuestion) -> Block:
    labels = {"loop": spec.name}
    rails = spec.spec.rollout.guardrails
    return counts.block(
        asked,
        metrics.increases(counts.PREDICTIONS, labels, asked.start, asked.end),
        metrics.increases(counts.SECONDS, labels, asked.start, asked.end),
        (rails.latency or Latency()).threshold,
        metrics.increases(counts.LABELLED, labels, asked.start, asked.end) if asked.labels else (),
        metrics.increases(counts.SCORES, labels, asked.start, asked.end) if rails.scores is not None else (),
        [_counted(spec, metrics, asked, ratio) for ratio in rails.ratios if ratio.name in asked.ratios],
    )


def _counted(spec: ModelLoop, metrics: Metrics, asked: CountsQuestion, ratio: Ratio) -> counts.Counted:
    labels = {"loop": spec.name} if ratio.labels is None else ratio.labels
    numerators, denominators = (
        metrics.increases(counter, labels, asked.start, asked.end) for counter in (ratio.numerator, ratio.denominator)
    )
    return counts.Counted(ratio, numerators, denominators)


def _try(failed: dict[str, str], part: str, ask: Callable[[], T]) -> T | None:
    """What `ask` answers. None when it cannot: retryable or not, one part's trouble is not that of the others."""
    try:
        return ask()
    except (SerinusError, OSError) as error:
        failed[part] = str(error)
        return None
