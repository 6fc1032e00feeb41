"""What a rollout's strategy makes of it: who gets which share or copies of requests, and how it is judged.

The judge is one for all: blue/green and shadow are courses of a single step to it. A shadow's trials are the answers
that were thrown away. It has harmed nobody when it is thrown back, and is promoted only once every guardrail has found
it safe within its margin; what copies cannot show (labels, what users do with an answer) the `watch` afterwards sees.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from serinus.decide import canary
from serinus.decide.canary import Look
from serinus.facts import Block, Rollout, Variant, VariantState
from serinus.spec import RolloutSpec


def look(
    spec: RolloutSpec,
    rollout: Rollout,
    block: Block | None,
    state: VariantState | None,
    now: datetime,
    scrape: timedelta,
    delay: timedelta,
) -> Look:
    """One look at a rollout, as `canary.look`, on the course of its strategy."""
    return canary.look(_on_course(spec), rollout, block, state, now, scrape, delay)


def variant(spec: RolloutSpec, rollout: Rollout) -> Variant:
    """The new version with what it should get: a share, or copies."""
    percent = canary.weight(_on_course(spec), rollout)
    if spec.strategy == "shadow":
        return Variant(rollout.version, 0, percent)
    return Variant(rollout.version, percent)


def said(of: Variant) -> str:
    """What a variant gets, in words."""
    return f"a copy of {of.mirror} % of the requests" if of.mirror else f"{of.weight} %"


def _on_course(spec: RolloutSpec) -> RolloutSpec:
    if spec.strategy == "canary":
        return spec
    return spec.model_copy(update={"steps": spec.course, "pace": "steps"})
