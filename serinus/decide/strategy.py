"""What a rollout's strategy makes of it: who gets which share or copies of requests, and how it is judged.

The judge is one for all: the others are courses of a single step to it. A shadow's trials are the answers
that were thrown away. It has harmed nobody when it is thrown back, and is promoted only once every guardrail has found
it safe within its margin; what copies cannot show (labels, what users do with an answer) the `watch` afterwards sees.
"""

from __future__ import annotations

from serinus.decide import canary, experiment
from serinus.facts import Rollout, Sticky, Variant
from serinus.spec import RolloutSpec


def on_course(spec: RolloutSpec) -> RolloutSpec:
    """The rules that `canary` goes by: those of `spec`, on the course of its strategy."""
    return spec if spec.course == spec.steps else spec.model_copy(update={"steps": spec.course})


def variant(spec: RolloutSpec, rollout: Rollout) -> Variant:
    """The new version with what it should get: a share, or copies."""
    percent = canary.weight(on_course(spec), rollout)
    if spec.strategy == "shadow":
        return Variant(rollout.version, 0, percent)
    return Variant(rollout.version, percent)


def sticky(spec: RolloutSpec) -> Sticky | None:
    """By what a user is known who is to stay with one version; None where every request is drawn anew."""
    return experiment.sticky(spec.tried) if spec.tried is not None else None


def said(spec: RolloutSpec, of: Variant) -> str:
    """What a variant gets, in words."""
    if of.mirror:
        return f"a copy of {of.mirror} % of the requests"
    return f"{of.weight} %" if spec.tried is None else f"{of.weight} % of the users"
