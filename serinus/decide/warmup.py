"""Warm-up: a fresh server's first answers are slow (caches, pools, compilation), which says nothing about its model.

Blocks that begin within `rollout.warmUp` of its first traffic, or of its coming back, carry none of the new version's
times: they are neither harm nor proof of safety. Its failures, refusals, scores and labels count from the first on, and
so does how fast the others answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from serinus import durations
from serinus.facts import Block, VariantState, Verdict
from serinus.spec import RolloutSpec

TIMED = frozenset({"latency", "slowdown"})
"""Guardrails whose outcomes are times."""

SETTLED = 2
"""So many warm-ups after its first traffic whole distributions of times are compared: what is left of being slow at
first passes no limit any more, and is still a slowdown to a test of the median."""
WHOLE = frozenset({"slowdown"})
"""Guardrails that compare them."""


def lasts(spec: RolloutSpec) -> timedelta:
    """How long a canary warms up: never over half of what a step may take, or there would be no time to judge it."""
    return min(spec.warm_up, spec.step_timeout / 2)


def since(before: datetime | None, state: VariantState | None, now: datetime) -> datetime | None:
    """Since when a server, as the router sees it `now`, has answered without a break; `before`: as known until now."""
    return before if state is not None and state.ready else now


def heard(block: Block, served: datetime | None, warm_up: timedelta) -> Block:
    """`block` without the new version's times when it began before that had answered for so long."""
    if served is None or block.start >= served + SETTLED * warm_up:
        return block
    if block.start >= served + warm_up:
        return replace(block, canary=replace(block.canary, times=()))
    return replace(block, canary=block.canary.without_times())


def said(verdicts: Sequence[Verdict], spec: RolloutSpec, served: datetime | None, looked: datetime) -> list[Verdict]:
    """Verdicts on a rollout of which counts up to `looked` are known; those about times say what they leave out."""
    if served is None or not lasts(spec):
        return list(verdicts)
    return [_said(v, lasts(spec), served, looked) if v.gate in TIMED else v for v in verdicts]


def _said(verdict: Verdict, warm_up: timedelta, served: datetime, looked: datetime) -> Verdict:
    counts = SETTLED * warm_up if verdict.gate in WHOLE else warm_up
    if looked < served + counts:
        why = f"the canary warms up until {served + counts:%H:%M:%S}; how fast it answers counts from then on"
    else:
        why = f"its first {durations.render(counts)} were warm-up and do not count"
    return replace(verdict, reason=f"{verdict.reason} ({why})")
