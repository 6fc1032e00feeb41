"""An experiment (A/B test): two versions, each user always with the same one, until a metric tells them apart.

What is found is an effect with an interval that holds at every look at once, so that whoever looks daily for a winner
is not fooled by chance: a new version that is no better is found better, or worse, with probability
`falsePromotionRate` at most, half of it each. Guardrails hold meanwhile, and throw back what does harm.

That holds for trials that are drawn to the versions one by one. Users are drawn, not trials: where one user counts for
many, and users differ, the interval is too narrow. docs/strategies.md says what to count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from serinus.decide.guardrails import active, known
from serinus.decide.rulings import points
from serinus.facts import Evidence, Outcome, Rollout, Sticky, Verdict
from serinus.spec import Experiment, Ratio, RolloutSpec
from serinus.stats import difference, dispersion, sequential
from serinus.stats.sequential import Rates

GATE = "experiment"
Found = Literal["better", "worse", "neither"]
_OUTCOMES: Mapping[Found, Outcome] = {"better": "pass", "worse": "fail", "neither": "undecided"}


@dataclass(frozen=True)
class Effect:
    """What is known of the difference new - old, in the metric's own units (a share)."""

    least: float
    most: float
    higher: bool  # whether more of the metric is better

    @property
    def found(self) -> Found:
        """Which version the metric speaks for; "better" is the new one's."""
        if self.least > 0:
            return "better" if self.higher else "worse"
        if self.most < 0:
            return "worse" if self.higher else "better"
        return "neither"


def sticky(of: Experiment) -> Sticky:
    """By what the router knows a user."""
    return Sticky("header", of.header) if of.header is not None else Sticky("cookie", of.cookie or "")


def verdict(spec: RolloutSpec, of: Experiment, rollout: Rollout) -> Verdict:
    """pass: the new version is better. fail: it is worse. undecided: neither was found yet."""
    rail = next(g for g in active(spec) if g.name == of.metric)
    evidence = known(rail, rollout.evidence)
    if not (evidence.stable_trials and evidence.canary_trials):
        return Verdict(GATE, "undecided", f"{of.metric}: nobody has been counted in both versions yet")
    ratio = next(r for r in spec.guardrails.ratios if r.name == of.metric)
    found = effect(ratio, evidence, rail.beta)
    sure = f"{100 * (1 - rail.beta):g} %"
    old, new = (_part(ratio, t, b) for t, b in (_stable(evidence), _canary(evidence)))
    said = f"{of.metric}: {_share(new)} against {_share(old)}, {_words(found)} ({sure})"
    figures = {"effect_least": found.least, "effect_most": found.most, "new": new, "old": old}
    return Verdict(GATE, _OUTCOMES[found.found], said, figures)


def effect(ratio: Ratio, evidence: Evidence, miss: float) -> Effect:
    """What `evidence` leaves possible of new - old; that is wrong with probability `miss`, over all looks."""
    rates = Rates(sequential.common(*_stable(evidence)), sequential.common(*_canary(evidence)))
    least, most = difference.between(evidence.sums, rates, miss, dispersion.dispersion(evidence.clumps))
    higher = ratio.better == "higher"
    # A guardrail counts what is bad: of a part of which more is better, that which is missing.
    return Effect(-most, -least, higher) if higher else Effect(least, most, higher)


def _words(found: Effect) -> str:
    if found.found == "neither":
        return f"a difference between {_signed(found.least)} and {_signed(found.most)} percentage points"
    near, far = sorted((abs(found.least), abs(found.most)))
    return f"{found.found} by {_number(near)} to {points(_rounded(far))}"


def _part(ratio: Ratio, trials: int, bad: int) -> float:
    return 1 - bad / trials if ratio.better == "higher" else bad / trials


def _stable(evidence: Evidence) -> tuple[int, int]:
    return evidence.stable_trials, evidence.stable_bad


def _canary(evidence: Evidence) -> tuple[int, int]:
    return evidence.canary_trials, evidence.canary_bad


def _share(share: float) -> str:
    return f"{100 * share:.2f} %"


def _rounded(share: float) -> float:
    return float(f"{share:.2g}")


def _number(share: float) -> str:
    return f"{100 * _rounded(share):g}"


def _signed(share: float) -> str:
    return f"{100 * _rounded(share):+g}"
