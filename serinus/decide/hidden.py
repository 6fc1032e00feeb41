"""What the evidence leaves possible: how much worse than stable the canary may be without having been found out.

"Not found harmful" is no number, and "found safe" only says that the margin was not reached. The bound says how far
from stable the canary may be at most; it may be read at every look, and is wrong about a guardrail with probability
`falsePromotionRate` at most, over the whole rollout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from serinus.decide.guardrails import Guardrail, known
from serinus.decide.rulings import points
from serinus.facts import Evidence, Verdict
from serinus.stats import difference, dispersion, sequential

FIGURE = "at_most_worse"
"""The bound among a verdict's figures: canary minus stable, as a share."""


def bound(evidence: Evidence, miss: float) -> float:
    """The largest difference canary - stable that `evidence` leaves possible; 1 where it cannot tell anything.

    Of a distribution that is compared at several cuts it is the largest at any of them.
    """
    parts = [part for part in evidence.parts if part.sums]
    if parts:
        return max(bound(part, miss / len(parts)) for part in parts)
    stable = sequential.baseline(evidence.stable_trials, evidence.stable_bad)
    return difference.at_most(evidence.sums, stable, miss, dispersion.dispersion(evidence.clumps))


def told(
    verdicts: Sequence[Verdict], active: Sequence[Guardrail], evidence: Mapping[str, Evidence]
) -> tuple[Verdict, ...]:
    """`verdicts` of these guardrails, in their order, each with its bound where anything was compared."""
    return tuple(_told(v, g, known(g, evidence)) for v, g in zip(verdicts, active, strict=True))


def _told(verdict: Verdict, guardrail: Guardrail, evidence: Evidence) -> Verdict:
    if not (evidence.stable_trials and evidence.canary_trials):
        return verdict
    most = bound(evidence, guardrail.beta)
    if verdict.outcome == "pass":
        most = min(most, guardrail.margin)  # that it is not worse by more is just what was found
    figures = {**verdict.figures, FIGURE: most}
    if verdict.outcome != "pass":
        return replace(verdict, figures=figures)
    sure = f"{100 * (1 - guardrail.beta):g} %"
    return replace(verdict, figures=figures, reason=f"{verdict.reason}, {_worse(most)} ({sure})")


def _worse(most: float) -> str:
    rounded = float(f"{most:.2g}")
    if rounded < 0:
        return f"at least {points(-rounded)} better"
    return f"at most {points(rounded)} worse"
