"""Versions on their way: who is let in, how a rollout goes on, how it ends, what is watched afterwards."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from serinus.decide import canary, guardrails, strategy, warmup, watch
from serinus.decide.draft import Draft
from serinus.facts import Rollout, RolloutRecord, VariantState, Version, Watch

_CRASHES = 3  # of a new champion's server; one may be an accident, and its restart loses no request


def admit(draft: Draft) -> None:
    """Start a rollout with the newest version that nothing was decided about yet, when it may start."""
    if draft.world.versions is None:
        return
    status = draft.status
    taken = max(status.decided, status.rollout.version if status.rollout is not None else 0)
    fresh = [v for v in draft.world.versions if v.number > taken]
    newest = next((v for v in fresh if "challenger" in v.aliases), None)
    if newest is None:
        return  # a version without the alias was never finished by its run, or made by hand: not ours to serve
    for older in fresh:
        if older.number < newest.number:
            _supersede(draft, older, newest)
    if status.waiting != newest.number:
        draft.set(waiting=newest.number, approved=None, approved_by="")
        draft.say("VersionFound", f"version {newest.number} passed validation", newest.number, "", **newest.metrics)
        if draft.spec.spec.approval == "required":
            draft.say("AwaitingApproval", f"version {newest.number} waits for a person's approval", newest.number)
    if draft.status.rollout is None and _may_start(draft, newest):
        _start(draft, newest)


def advance(draft: Draft) -> None:
    """Carry the rollout one look further."""
    rollout = draft.status.rollout
    if rollout is None or draft.world.routing is None:
        return  # a router that cannot be asked tells nothing about the canary, and could not be moved either
    if draft.world.since is not None and rollout.step_started < draft.world.since:
        # Time in which nobody looked is not held against the canary: its step's clock starts anew.
        rollout = replace(rollout, step_started=draft.world.since)
        draft.set(rollout=rollout)
    state = draft.world.routing.of(rollout.version)
    if rollout.stable is None:
        _first(draft, rollout, state)
        return
    spec = draft.spec.spec
    rules = strategy.on_course(spec.rollout)
    look = canary.look(rules, rollout, draft.world.block, state, draft.now, draft.world.scrape, spec.labels.delay)
    draft.set(rollout=look.rollout)
    if look.action == "rollback":
        roll_back(draft, look.rollout, look.reason)
    elif look.action == "promote":
        _promote(draft, look.rollout, look.reason)
    elif look.action == "advance":
        given = strategy.variant(spec.rollout, look.rollout)
        kind: Literal["RolloutStarted", "StepPassed"] = "RolloutStarted" if look.rollout.step == 0 else "StepPassed"
        said = f"version {rollout.version} now gets {strategy.said(spec.rollout, given)}: {look.reason}"
        draft.say(kind, said, rollout.version, weight=given.weight)


def look_after(draft: Draft) -> None:
    """Hold a new champion to the one before it for a while."""
    watched, broken = draft.status.watch, ""
    if watched is None or draft.status.rollout is not None:
        return
    rules, state = draft.spec.spec.rollout, _seen(draft, watched.version)
    if draft.world.routing is not None:
        watched = replace(watched, served_since=warmup.since(watched.served_since, state, draft.now))
    if draft.world.block is not None:
        watched, verdict = watch.look(rules, watched, draft.world.block)
        broken = verdict.reason if verdict.outcome == "fail" else ""
    draft.set(watch=watched)
    if state is not None and state.restarts - watched.restarts >= _CRASHES:
        broken = f"its server crashed {state.restarts - watched.restarts} times since it was promoted"
    if broken and draft.status.previous is not None:
        bring_back(draft, watched.version, draft.status.previous, broken)
    elif draft.now >= watch.over(rules, watched):
        seen = any(e.canary_trials for e in watched.evidence.values())
        how = "kept its guardrails" if seen else "was not seen to answer anybody"
        _end_watch(draft, watched, f"{how} after the promotion")
    elif draft.world.routing is not None and draft.status.previous is not None:
        _share(draft, watched, draft.status.previous)


def roll_back(draft: Draft, rollout: Rollout, reason: str, by: str = "") -> None:
    """Take the canary's traffic away for good; `by` is the person who asked for it."""
    _record(draft, rollout, "rolled-back", reason)
    draft.set(rollout=None, decided=max(draft.status.decided, rollout.version))
    said = f"version {rollout.version} was rolled back: {reason}"
    draft.say("RolledBack", said, rollout.version, by, **_harm(rollout))


def bring_back(draft: Draft, bad: int, good: int, reason: str, by: str = "") -> None:
    """Give the traffic of the champion `bad` back to `good`, the champion before it."""
    status = draft.status
    started = status.watch.until - draft.spec.spec.rollout.watch if status.watch is not None else draft.now
    evidence = status.watch.beside or status.watch.evidence if status.watch is not None else {}
    draft.records.append(
        RolloutRecord(bad, good, "rolled-back", reason, started=started, ended=draft.now, evidence=evidence)
    )
    draft.aliases["champion"] = good
    draft.set(champion=good, previous=None, watch=None, drift=())
    draft.say("BroughtBack", f"version {good} serves again instead of {bad}: {reason}", good, by)


def refuse(draft: Draft, version: int, reason: str, by: str = "") -> None:
    """A waiting version that a person did not let in."""
    draft.records.append(
        RolloutRecord(version, draft.status.champion, "rejected", reason, started=draft.now, ended=draft.now)
    )
    draft.set(waiting=None, decided=max(draft.status.decided, version))
    draft.say("Rejected", f"version {version} was not let in: {reason}", version, by)


def _first(draft: Draft, rollout: Rollout, state: VariantState | None) -> None:
    """A loop's first version has nobody to be compared with: it serves everyone once its smoke test has passed."""
    if state is not None and state.ready and state.weight == 100:
        _promote(draft, rollout, "it is the first, and answered its smoke test rightly")
    elif draft.now - rollout.step_started >= draft.spec.spec.rollout.step_timeout:
        why = state.message if state is not None and state.message else "it never became ready"
        roll_back(draft, rollout, why)


def _may_start(draft: Draft, version: Version) -> bool:
    return draft.spec.spec.approval == "automatic" or draft.status.approved == version.number


def _start(draft: Draft, version: Version) -> None:
    status, now = draft.status, draft.now
    seen = _seen(draft, version.number)
    rollout = Rollout(
        version.number, status.champion, now, -1, now, looked_until=now, restarts=seen.restarts if seen else 0
    )
    if status.watch is not None:
        _end_watch(draft, status.watch, f"gives way to version {version.number} before its time was over")
    draft.set(rollout=rollout, waiting=None)


def _promote(draft: Draft, rollout: Rollout, reason: str) -> None:
    _record(draft, rollout, "promoted", reason)
    watched = None
    if rollout.stable is not None:
        state = _seen(draft, rollout.version)
        watched = watch.start(draft.spec.spec.rollout, rollout, draft.now, state.restarts if state is not None else 0)
    draft.aliases["champion"] = rollout.version
    draft.set(
        champion=rollout.version,
        previous=rollout.stable,
        rollout=None,
        watch=watched,
        decided=max(draft.status.decided, rollout.version),
        drift=(),  # earlier windows were compared with another model's training data
    )
    held = watched.held if watched is not None else 0
    said = f"version {rollout.version} {'is promoted' if held else 'serves everyone'}: {reason}"
    draft.say("Promoted", said, rollout.version, "", **_harm(rollout))
    if held:
        _say_held(draft, rollout.version, held, f"version {rollout.stable} keeps the rest to be compared with")


def _share(draft: Draft, watched: Watch, before: int) -> None:
    """Give the champion before the share that it should have now, and say so when that is another one."""
    rules = draft.spec.spec.rollout
    after = watch.shared(rules, watched, _seen(draft, before), draft.now)
    if after.held == watched.held:
        return
    draft.set(watch=after)
    why = f"version {before} keeps the rest to be compared with"
    if after.held > rules.held_back:
        why = f"something speaks against it, so version {before} has the rest until it is known better"
    elif not after.held and rules.held_back:
        why = f"the server of version {before} is not ready"
    _say_held(draft, watched.version, after.held, why)


def _end_watch(draft: Draft, watched: Watch, how: str) -> None:
    draft.set(watch=None)
    draft.say("WatchEnded", f"version {watched.version} {how}", watched.version)


def _say_held(draft: Draft, version: int, held: int, why: str) -> None:
    draft.say("ShareChanged", f"version {version} now gets {100 - held} %: {why}", version, weight=100 - held)


def _seen(draft: Draft, version: int) -> VariantState | None:
    """The version's server; None when the router does not know it, or could not be asked."""
    return draft.world.routing.of(version) if draft.world.routing is not None else None


def _supersede(draft: Draft, older: Version, newer: Version) -> None:
    reason = f"version {newer.number} came before it was its turn"
    draft.records.append(
        RolloutRecord(older.number, draft.status.champion, "superseded", reason, started=draft.now, ended=draft.now)
    )
    draft.set(decided=max(draft.status.decided, older.number))
    draft.say("VersionSuperseded", f"version {older.number} was passed over: {reason}", older.number)


def _harm(rollout: Rollout) -> dict[str, float]:
    """The evidence of harm that the rollout ended with, as its logarithm to base 10, by guardrail."""
    return {name: guardrails.harm_now(e) / math.log(10) for name, e in rollout.evidence.items()}


def _record(draft: Draft, rollout: Rollout, outcome: Literal["promoted", "rolled-back"], reason: str) -> None:
    draft.records.append(
        RolloutRecord(
            rollout.version,
            rollout.stable,
            outcome,
            reason,
            started=rollout.started,
            ended=draft.now,
            verdicts=rollout.verdicts,
            evidence=rollout.evidence,
            approved_by=draft.status.approved_by if draft.status.approved == rollout.version else "",
        )
    )
