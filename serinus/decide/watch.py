"""After a promotion: a new champion is held to the one before it for a while, and gives way when it is found worse.

Some of the traffic stays with the one before (`rollout.holdback`), so that both live in the same world. The new one has
to be found worse than the other is *now*, which a world that changes for everybody does not make it; and worse than
the other was *during the rollout*, which being alone with nearly all of the traffic now does not make it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from serinus.decide import guardrails, rulings, warmup, wealth
from serinus.decide.guardrails import Guardrail, known
from serinus.facts import Block, Rollout, VariantState, Verdict, Watch
from serinus.spec import RolloutSpec

HALF = 50
"""Percent that goes back to the champion before while the new one is under suspicion."""


def start(spec: RolloutSpec, rollout: Rollout, now: datetime, restarts: int) -> Watch:
    """The watch over the version of `rollout`, which is promoted `now`; restarts: of its server so far."""
    # What got no traffic before, as in blue/green, warms up in the watch.
    served = rollout.served_since if rollout.step_answers else now
    before = {name: guardrails.start_of_watch(e) for name, e in rollout.evidence.items()}
    until, held = now + spec.watch, spec.held_back
    beside = {name: guardrails.start_beside(e) for name, e in rollout.evidence.items()} if held else {}
    return Watch(rollout.version, until, now, before, beside, restarts, served_since=served, held=held)


def look(spec: RolloutSpec, watch: Watch, block: Block | None) -> tuple[Watch, Verdict]:
    """One look after a promotion; `block.canary` is the new champion. "fail" means: bring the old champion back.

    A guardrail without figures of the old one, from the rollout or (where some of the traffic was held back) since
    then, cannot speak. None for the block is the verdict "error", and changes nothing.
    """
    if block is None or block.start < watch.looked_until:
        return watch, Verdict("watch", "error", f"could not look: no counts since {watch.looked_until:%H:%M:%S}")
    active = _active(spec)
    block = warmup.heard(block, watch.served_since, min(warmup.lasts(spec), spec.watch / 2))
    evidence = {**watch.evidence, **{g.name: wealth.watched(g, watch.evidence, block) for g in active}}
    beside = wealth.absorb(spec, watch.beside, block) if spec.held_back else watch.beside
    after = replace(watch, evidence=evidence, beside=beside, looked_until=block.end)
    verdicts = [_verdict(spec, g, after) for g in active]
    failed = [v for v in verdicts if v.outcome == "fail"]
    if failed:
        return after, failed[0]
    reason = "; ".join(v.reason for v in verdicts) or "no guardrail is on"
    return after, Verdict("watch", "undecided", reason)


def shared(spec: RolloutSpec, watch: Watch, before: VariantState | None, now: datetime) -> Watch:
    """The watch with the share that the champion `before` should have from `now` on.

    One that is not ready gets nothing. While the new one is near being found worse, each has half, until nothing speaks
    against it any more: fewer answers are bad, and both are known better.
    """
    held = spec.held_back if before is not None and before.ready else 0
    if held and _suspect(spec, watch):
        held = HALF
    return watch if held == watch.held else replace(watch, held=held, share_since=now)


def over(spec: RolloutSpec, watch: Watch) -> datetime:
    """When the watch ends; under suspicion a version is watched for as long again, as nobody would look afterwards."""
    return watch.until + spec.watch if watch.held > spec.held_back else watch.until


def shared_since(spec: RolloutSpec, watch: Watch) -> datetime:
    """When the shares of traffic were changed last."""
    return watch.share_since or watch.until - spec.watch


def _verdict(spec: RolloutSpec, guardrail: Guardrail, watch: Watch) -> Verdict:
    then = rulings.against_past(guardrail, watch.evidence[guardrail.name])
    if not spec.held_back:
        return then
    now = rulings.beside(guardrail, known(guardrail, watch.beside))
    return now if then.outcome == "fail" or now.outcome != "fail" else then


def _suspect(spec: RolloutSpec, watch: Watch) -> bool:
    """Whether a guardrail is near bringing the one before back, or was and has not receded since."""
    more = watch.held > spec.held_back  # it was
    for g in _active(spec):
        beside = known(g, watch.beside)
        if guardrails.near(g, beside) or (more and guardrails.harm_now(beside) > 0):
            return True
    return False


def _active(spec: RolloutSpec) -> list[Guardrail]:
    return [g for g in guardrails.active(spec) if g.watched]
