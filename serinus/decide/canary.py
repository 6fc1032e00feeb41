"""A canary from its first request to its promotion: hold, one step further, promote, or roll back.

One look takes the rollout as it was, the counts since the last look, the canary's server as the router sees it, and
the time; it gives the rollout as it is now and what to do. Evidence is never thrown away between steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from serinus import durations
from serinus.decide import experiment, guardrails, hidden, pace, rulings, server, warmup, wealth
from serinus.facts import Block, Rollout, VariantState, Verdict
from serinus.spec import BLUE_GREEN, Experiment, RolloutSpec

Action = Literal["hold", "advance", "promote", "rollback"]

DUE = timedelta(seconds=5)
"""No block within this time of the last one is no news: counts are asked for every few seconds, when scrapes are in.
Where scrapes are rarer it is three of them."""


@dataclass(frozen=True)
class Look:
    """What one look came to; `rollout` is what to remember, with the step already taken when it says advance."""

    rollout: Rollout
    action: Action
    verdicts: tuple[Verdict, ...]
    reason: str


def weight(spec: RolloutSpec, rollout: Rollout) -> int:
    """The canary's share of traffic in whole percent: 0 while it gets ready."""
    if rollout.step < 0:
        return 0
    return pace.now(spec, rollout) if pace.adaptive(spec) else spec.steps[_step(spec, rollout)]


def look(
    spec: RolloutSpec,
    rollout: Rollout,
    block: Block | None,
    state: VariantState | None,
    now: datetime,
    scrape: timedelta = timedelta(seconds=1),
    delay: timedelta = timedelta(0),
) -> Look:
    """One look at a rollout.

    block: the counts from rollout.looked_until on; None when they could not be had, or were not due.
    state: the canary's server; None when the router answers and does not know it. A router that does not answer tells
    nothing about the canary: do not look then.
    scrape: how often the counters are read.
    delay: how long labels take; of use where the guardrail `quality` is on.
    """
    if rollout.step < 0:
        return _getting_ready(spec, rollout, state, now)
    before = replace(rollout, step=_step(spec, rollout))  # an edit may have taken steps away
    fresh = block is not None and block.start >= rollout.looked_until  # nothing counts twice
    if block is not None:
        block = warmup.heard(block, before.served_since, warmup.lasts(spec))
    after = _absorbed(spec, before, block) if block is not None and fresh else before
    after = replace(
        after,
        away=None if state is not None and state.ready else (before.away or now),
        served_since=warmup.since(before.served_since, state, now),
    )
    active = guardrails.active(spec)
    found = hidden.told(
        [rulings.on_trial(g, guardrails.known(g, after.evidence)) for g in active], active, after.evidence
    )
    verdicts = tuple(warmup.said(found, spec, after.served_since, after.looked_until))
    gone = server.gone(after, state, now)
    verdicts = (*server.crashed(after, state), *gone, *verdicts)
    failed = [v.reason for v in verdicts if v.outcome == "fail"]
    if failed:
        return _done(after, "rollback", verdicts, "; ".join(failed))
    if gone:
        return _wait(spec, after, verdicts, gone[0].reason, now)
    if block is None or not fresh:
        return _without_counts(spec, after, verdicts, now, max(DUE, 3 * scrape))
    if pace.adaptive(spec):
        return _paced(spec, after, block, verdicts, now, delay)
    return _go_on(spec, after, verdicts, now, delay)


def shared_since(rollout: Rollout) -> datetime:
    """When the shares of traffic were changed last."""
    return rollout.share_since or rollout.step_started


def hears(since: datetime, start: datetime, delay: timedelta) -> bool:
    """Whether labels that come from `start` on are to be counted; the shares of traffic were changed last at `since`.

    Labels come for answers of up to `delay` ago. Sooner than that after a change of the shares, the canary's labels are
    more often of quick ones than stable's; and quick labels may be of one kind (a click comes at once, that there was
    none is known after the session). Later both arms' labels are of the same mixture.
    """
    return start - since >= delay


def _go_on(spec: RolloutSpec, rollout: Rollout, verdicts: tuple[Verdict, ...], now: datetime, delay: timedelta) -> Look:
    if spec.steps == BLUE_GREEN:
        return _switch(spec, rollout, verdicts, now, delay)
    if spec.tried is not None:
        return _tried(spec, spec.tried, rollout, verdicts, now, delay)
    lacking = _lacking(spec, rollout, verdicts, delay)
    if lacking:
        return _wait(spec, rollout, verdicts, lacking, now)
    if _last(spec, rollout):
        return _promoted(spec, rollout, verdicts)
    why = f"{_name(spec, rollout)} passed: {_exposure(spec, rollout)}, no guardrail near rollback"
    further = replace(rollout, step=rollout.step + 1, step_started=now, step_answers=0)
    return _done(further, "advance", verdicts, why)


def _paced(
    spec: RolloutSpec, rollout: Rollout, block: Block, verdicts: tuple[Verdict, ...], now: datetime, delay: timedelta
) -> Look:
    """One look of an adaptive course: its share changes, or it is promoted from the last one, or it waits."""
    before, lacking = pace.now(spec, rollout), _lacking(spec, rollout, verdicts, delay)
    share = pace.share(spec, rollout, block, safe=not _unsafe(spec, rollout, verdicts))
    if share.percent < before or (share.percent > before and not _near(spec, rollout)):
        changed = replace(rollout, share=share.percent, share_since=now)
        if share.percent < before:
            return _wait(spec, changed, verdicts, f"its share falls to {share.percent} %: {share.why}", now)
        return _done(changed, "advance", verdicts, share.why)
    if not lacking and not _last(spec, rollout):
        lacking = f"its share stays at {before} % for now: {share.why}"
    if lacking:
        return _wait(spec, rollout, verdicts, lacking, now)
    return _promoted(spec, rollout, verdicts)


def _tried(
    spec: RolloutSpec, of: Experiment, rollout: Rollout, verdicts: tuple[Verdict, ...], now: datetime, delay: timedelta
) -> Look:
    """One look of an experiment: better ends it once nothing else speaks against the new version, worse at once."""
    found, lacking = experiment.verdict(spec, of, rollout), _lacking(spec, rollout, verdicts, delay)
    told = (found, *verdicts)
    if found.outcome == "fail" and rollout.step_answers >= spec.min_requests:
        return _done(rollout, "rollback", told, found.reason)
    if found.outcome == "pass" and not lacking:
        return _done(rollout, "promote", told, "; ".join(v.reason for v in told))
    return _wait(spec, rollout, told, f"{found.reason}; {lacking}" if found.outcome == "pass" else found.reason, now)


def _promoted(spec: RolloutSpec, rollout: Rollout, verdicts: tuple[Verdict, ...]) -> Look:
    return _done(rollout, "promote", verdicts, "; ".join(v.reason for v in verdicts) or _exposure(spec, rollout))


def _switch(
    spec: RolloutSpec, rollout: Rollout, verdicts: tuple[Verdict, ...], now: datetime, delay: timedelta
) -> Look:
    """Blue/green: everything moves once it is known how stable does, which the watch compares with; or time is over."""
    prompt = [g for g in guardrails.active(spec) if g.watched and not g.late]
    seen = min((guardrails.known(g, rollout.evidence).stable_trials for g in prompt), default=math.inf)
    learns = _labels_due(spec, rollout, delay)
    if seen < spec.min_requests:
        learns = f"{seen:,.0f} of {spec.min_requests:,} answers"
    if learns and now - rollout.step_started < spec.step_timeout:
        reason = f"learns how stable does: {learns}; then everything moves at once"
        return _done(rollout, "hold", verdicts, reason)
    return _done(rollout, "promote", verdicts, "it answered its smoke test rightly; blue/green judges afterwards")


def _without_counts(
    spec: RolloutSpec, rollout: Rollout, verdicts: tuple[Verdict, ...], now: datetime, due: timedelta
) -> Look:
    if now - rollout.looked_until < due:
        return _done(rollout, "hold", rollout.verdicts or verdicts, "no new counts are due yet")
    since = f"could not look: no counts since {rollout.looked_until:%H:%M:%S}"
    errors = tuple(replace(v, outcome="error", reason=f"{v.gate}: {since}") for v in verdicts)
    return _wait(spec, rollout, errors, since, now)


def _absorbed(spec: RolloutSpec, rollout: Rollout, block: Block) -> Rollout:
    return replace(
        rollout,
        evidence=wealth.absorb(spec, rollout.evidence, block),
        looked_until=block.end,
        step_answers=rollout.step_answers + block.canary.answers,
    )


def _getting_ready(spec: RolloutSpec, rollout: Rollout, state: VariantState | None, now: datetime) -> Look:
    if state is not None and state.ready:
        # Counts begin with the traffic: a block that reached back to before it would compare two different times.
        started = replace(
            rollout,
            step=0,
            step_started=now,
            looked_until=now,
            step_answers=0,
            restarts=state.restarts,
            verdicts=(),
            served_since=now,
        )
        return _done(started, "advance", (), "its server is ready")
    why = state.message if state is not None and state.message else "its server never became ready"
    if now - rollout.step_started >= spec.step_timeout:
        reason = f"not ready within {durations.render(spec.step_timeout)}: {why}"
        return _done(rollout, "rollback", (Verdict("server", "fail", reason),), reason)
    return _done(rollout, "hold", (), "its server gets ready")


def _labels_due(spec: RolloutSpec, rollout: Rollout, delay: timedelta) -> str:
    """What labels and the user's ratios still need; empty when they had their time, or are not asked for.

    As long as they take to come, and as long again in which they are counted (`hears`).
    """
    took = {ratio.name: ratio.delay for ratio in spec.guardrails.ratios}
    if spec.guardrails.quality is not None:
        took["labels"] = delay
    slowest = max(took, key=lambda name: took[name], default=None)
    if slowest is None or rollout.looked_until - shared_since(rollout) >= 2 * took[slowest]:
        return ""
    plural = "labels need" if slowest == "labels" else f"{slowest} needs"
    return f"{plural} {durations.render(took[slowest])} to come, and as long again to be counted"


def _lacking(spec: RolloutSpec, rollout: Rollout, verdicts: tuple[Verdict, ...], delay: timedelta) -> str:
    """What still keeps the canary on its step; empty when nothing does."""
    if rollout.step_answers < spec.min_requests:
        return f"the canary needs more traffic: {_exposure(spec, rollout)}"
    if due := _labels_due(spec, rollout, delay):
        return due
    return _near(spec, rollout) or (_unsafe(spec, rollout, verdicts) if _last(spec, rollout) else "")


def _near(spec: RolloutSpec, rollout: Rollout) -> str:
    """The guardrail that is near rollback, in words; empty when none is."""
    for g in guardrails.active(spec):
        evidence = guardrails.known(g, rollout.evidence)
        if guardrails.near(g, evidence):
            return f"{g.name} is near rollback: evidence of harm {rulings.odds(guardrails.harm_now(evidence))}"
    return ""


def _unsafe(spec: RolloutSpec, rollout: Rollout, verdicts: tuple[Verdict, ...]) -> str:
    """What has not been found safe, in words; empty when all has.

    One that saw nothing has not been found anything. Only labels are nobody's duty: none at all keeps no canary from
    being promoted, and the reason of the promotion says so.
    """
    active = guardrails.active(spec)
    mute = {g.name for g in active if guardrails.silent(g, guardrails.known(g, rollout.evidence))}
    return "; ".join(v.reason for v in verdicts if v.outcome != "pass" and v.gate not in mute)


def _wait(spec: RolloutSpec, rollout: Rollout, verdicts: tuple[Verdict, ...], lacking: str, now: datetime) -> Look:
    if now - rollout.step_started < spec.patience():
        return _done(rollout, "hold", verdicts, lacking)
    reason = f"{_name(spec, rollout)} did not convince within {durations.render(spec.patience())}: {lacking}"
    return _done(rollout, spec.on_timeout, verdicts, reason)


def _done(rollout: Rollout, action: Action, verdicts: tuple[Verdict, ...], reason: str) -> Look:
    return Look(replace(rollout, verdicts=verdicts), action, verdicts, reason)


def _step(spec: RolloutSpec, rollout: Rollout) -> int:
    return min(rollout.step, len(spec.steps) - 1)


def _last(spec: RolloutSpec, rollout: Rollout) -> bool:
    if pace.adaptive(spec):
        return pace.now(spec, rollout) == spec.steps[-1]
    return rollout.step == len(spec.steps) - 1


def _name(spec: RolloutSpec, rollout: Rollout) -> str:
    if spec.tried is not None:
        return f"the experiment ({spec.tried.percent} % of the users)"
    if pace.adaptive(spec):
        return f"its course (now {pace.now(spec, rollout)} %)"
    return f"step {rollout.step + 1} of {len(spec.steps)} ({spec.steps[rollout.step]} %)"


def _exposure(spec: RolloutSpec, rollout: Rollout) -> str:
    whole = "" if pace.adaptive(spec) else " in this step"
    return f"{rollout.step_answers:,} of at least {spec.min_requests:,} answers{whole}"
