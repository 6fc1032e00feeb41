"""An adaptive course: the canary's share grows as fast as what is known of it allows, and falls when it does harm.

Shares are such that by the next look at most BUDGET answers can be worse than stable's would have been: by what the
evidence leaves possible (`hidden`), and by what the latest counts showed. They hang on what was known before the
answers that they bring, so the judge's promises hold for them as for fixed steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from serinus.decide import guardrails, hidden, rulings
from serinus.decide.guardrails import Guardrail
from serinus.facts import Block, Rollout
from serinus.spec import BLUE_GREEN, RolloutSpec
from serinus.stats import sequential

BUDGET = 2.0
"""Answers that may be bad by the next look. Less makes good canaries wait, more costs answers (docs/judge.md)."""
HARMED = 2.0  # budgets that the latest counts may have cost before the share falls: less is chance
WORTH = 1.5  # a share is changed for one so many times as large
AT_ONCE = 2.0  # and becomes at most so many times as large in one look


@dataclass(frozen=True)
class Share:
    """The share that the canary should get next, in whole percent, and why."""

    percent: int
    why: str


def adaptive(spec: RolloutSpec) -> bool:
    """Whether shares follow the evidence; blue/green has none."""
    return spec.pace == "adaptive" and spec.steps != BLUE_GREEN and spec.tried is None


def now(spec: RolloutSpec, rollout: Rollout) -> int:
    """The share that the canary has, within the first and the last of `steps`, whatever an edit made of these."""
    return min(max(rollout.share, spec.steps[0]), spec.steps[-1])


def share(spec: RolloutSpec, rollout: Rollout, block: Block, *, safe: bool) -> Share:
    """The share from here on; `rollout` has `block`, the latest counts, in its evidence.

    safe: whether all guardrails that are asked have found the canary safe.
    """
    before, first, last = now(spec, rollout), spec.steps[0], spec.steps[-1]
    cost, what = _cost(spec, rollout, block)
    if cost >= HARMED * BUDGET and before > first:
        return Share(
            max(first, int(before * BUDGET / cost)), f"{what}: {cost:.0f} bad answers more than stable's in it"
        )
    possible, what = _possible(spec, rollout)
    requests = sum(arm.answers + arm.rejected for arm in (block.stable, block.canary))
    wanted, why = last, "every guardrail is found safe"
    if not safe:
        wanted = min(int(100 * BUDGET / max(requests * possible, BUDGET)), last) if requests else before
        why = f"{what} at most {rulings.points(float(f'{possible:.2g}'))} worse"
    wanted = min(wanted, math.ceil(AT_ONCE * before))
    if wanted >= WORTH * before or before < wanted == last:
        return Share(wanted, why)
    return Share(before, why)


def _steering(spec: RolloutSpec) -> list[Guardrail]:
    """Guardrails that count answers which are bad in themselves, and at once.

    Labels come too late to steer by, and what a user's ratio counts need not be answers. One that took longer than
    stable's median is not bad; a distribution that differs is found by the judge, and harms nobody whom these do not
    count.
    """
    return [g for g in guardrails.active(spec) if g.family is None and g.of == "requests"]


def _possible(spec: RolloutSpec, rollout: Rollout) -> tuple[float, str]:
    """The largest share of the canary's answers that may be bad beyond stable's, and by which guardrail.

    Times are not known while it warms up.
    """
    found = [
        (max(hidden.bound(evidence, g.beta), 0.0), g.name)
        for g in _steering(spec)
        for evidence in [guardrails.known(g, rollout.evidence)]
        if evidence.canary_trials
    ]
    return max(found, default=(1.0, "the canary"))


def _cost(spec: RolloutSpec, rollout: Rollout, block: Block) -> tuple[float, str]:
    """How many more of the canary's outcomes in `block` were bad than stable's rate lets expect, and by what."""
    found = [(0.0, "")]
    for g in _steering(spec):
        seen, evidence = g.count(block.canary), guardrails.known(g, rollout.evidence)
        rate = sequential.baseline(evidence.stable_trials, evidence.stable_bad)
        found.append((seen.bad - seen.trials * rate, g.name))
    return max(found)
