"""The loop as one pure function: `next(spec, status, world, now) -> Plan`.

It reads top to bottom like the story it tells. Whoever drives it carries the plan out in the order routing, run,
aliases, records, and writes the status last; since every action is idempotent and the same status, world and time give
the same plan, a driver killed between any two of them is put right by its next look.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from serinus.decide import canary, edits, requests, rollouts, runs, strategy, watch
from serinus.decide.draft import Draft
from serinus.facts import CountsQuestion, Plan, Rollout, Routing, Status, Variant, World
from serinus.spec import ModelLoop

LAG = timedelta(seconds=1)
"""A scrape is filed under the time it began. One still under way would fall between two blocks, and more often that of
a busy server than that of an idle one; after a scrape's timeout none is under way."""
SCRAPE = timedelta(seconds=1)
"""How often a local Prometheus reads the counters."""


def block(scrape: timedelta) -> timedelta:
    """The shortest interval worth a look: one scrape and a second, in which each arm was read once at least."""
    return scrape + timedelta(seconds=1)


def question(spec: ModelLoop, status: Status, now: datetime, scrape: timedelta = SCRAPE) -> CountsQuestion | None:
    """The counts that the next look needs, or None while nothing is being judged. `scrape`: as in World."""
    judged = status.rollout if status.rollout is not None and status.rollout.step >= 0 else status.watch
    end = now - LAG
    if judged is None or end - judged.looked_until < block(scrape):
        return None
    stable = status.rollout.stable if status.rollout is not None else status.previous
    rollout, delay = spec.spec.rollout, spec.spec.labels.delay
    since = canary.shared_since(judged) if isinstance(judged, Rollout) else watch.shared_since(rollout, judged)
    heard = rollout.guardrails.quality is not None and canary.hears(since, judged.looked_until, delay)
    ratios = tuple(r.name for r in rollout.guardrails.ratios if canary.hears(since, judged.looked_until, r.delay))
    return CountsQuestion(stable, judged.version, judged.looked_until, end, heard, ratios)


def next(spec: ModelLoop, status: Status, world: World, now: datetime) -> Plan:
    """What follows from what is known: the desired routing, a run to request, aliases to move, events, new status."""
    draft = Draft(spec, world, now, status, records=list(status.owed))
    edits.follow(draft)
    _notices(draft)
    requests.fold(draft)
    runs.follow(draft)
    runs.trigger(draft)
    rollouts.admit(draft)
    rollouts.advance(draft)
    rollouts.look_after(draft)
    # With what was known before this look: a run that ended in it may have named its version after we read them.
    _settle_aliases(draft, running=status.run is not None or draft.status.run is not None)
    return draft.plan(desired_routing(spec, draft.status))


def desired_routing(spec: ModelLoop, status: Status) -> Routing | None:
    """Who should serve, by what the loop remembers; None before the first version."""
    wanted: dict[int, Variant] = {}
    held = status.watch.held if status.watch is not None and status.previous is not None else 0
    if status.previous is not None:
        wanted[status.previous] = Variant(status.previous, held)
    if status.champion is not None:
        wanted[status.champion] = Variant(status.champion, 100 - held)
    if status.rollout is not None:
        new = strategy.variant(spec.spec.rollout, status.rollout)
        wanted[new.version] = new if status.champion is not None else Variant(new.version, 100)
        if status.champion is not None:
            wanted[status.champion] = Variant(status.champion, 100 - new.weight)
    if not wanted:
        return None
    tried = held or (status.rollout is not None and status.champion is not None)
    by = strategy.sticky(spec.spec.rollout) if tried else None
    return Routing(tuple(wanted[version] for version in sorted(wanted)), by)


def _notices(draft: Draft) -> None:
    """Say once that something cannot be seen, and once that it can be again."""
    before, after = draft.status.notices, dict(draft.world.unseen)
    for subject in sorted(after.keys() - before.keys()):
        draft.say("CannotSee", f"{subject}: {after[subject]}; decisions that need it wait")
    for subject in sorted(before.keys() - after.keys()):
        draft.say("SeesAgain", f"{subject} answers again")
    draft.set(notices=after)


def _settle_aliases(draft: Draft, *, running: bool) -> None:
    """The ledger is the authority on who is what; the registry's aliases follow it, whoever moved them.

    running: whether a run is in flight. It gives the alias `challenger` to the version that it registers, at any
    moment; taken away by its name alone just then it would be the new version's, which nobody would ever let in.
    """
    status = draft.status
    for version in draft.world.versions or ():
        if version.number == status.champion and "champion" not in version.aliases:
            draft.aliases["champion"] = version.number
        if version.number <= status.decided and "challenger" in version.aliases and not running:
            draft.aliases["challenger"] = None
