"""Guardrails: which ones hold, what each counts, and where its evidence stands.

Error rates. Rolling back wrongly takes one false crossing of any guardrail, so false_rollback_rate is divided among
the active ones: half of it for errors, what users feel most and what has to be found soonest, and the other half in
equal parts (Bonferroni's inequality with weights: Rosenthal & Rubin 1983). Promoting wrongly takes that a guardrail
which is truly broken is found safe, whatever the others say, so each may use all of false_promotion_rate (an
intersection-union test: Berger 1982).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from serinus.decide import cuts, outcomes
from serinus.facts import Arm, Evidence
from serinus.spec import Ratio, RolloutSpec
from serinus.stats import sequential
from serinus.stats.sequential import Counts

ERRORS = "errors"
QUALITY = "quality"


@dataclass(frozen=True)
class Guardrail:
    """One thing that the canary must not be worse at; `alpha` and `beta` are its own shares of the error rates."""

    name: str
    margin: float
    where: tuple[float, ...]  # what is counted as bad, such as a threshold
    alpha: float
    beta: float
    count: Callable[[Arm], Counts]
    late: bool = False  # its outcomes are known late or never: where none is known, it is not asked
    of: str = "requests"  # what its trials are called
    watched: bool = True  # after a promotion, too
    family: cuts.Family | None = None  # a distribution that is compared at several cuts
    rare: bool = True  # its outcomes, as failures are; of a share of half of all more is known sooner
    bursts: bool = False  # one client's requests may all be bad, whatever the version
    says: str = ""  # which outcomes are bad, where one name stands for several

    @property
    def terms(self) -> tuple[float, ...]:
        """What evidence is about: it does not outlive an edit of these."""
        return (*self.where, self.margin)

    @property
    def needed_harm(self) -> float:
        """The log e-value that rolls back."""
        return -math.log(self.alpha)

    @property
    def needed_safe(self) -> float:
        """The log e-value that counts as the finding "not worse by the margin"."""
        return -math.log(self.beta)

    def members(self, bounds: tuple[float, ...]) -> tuple[Guardrail, ...]:
        """A family's comparisons, one a cut, with equal shares of its alpha; none where there is no bound to cut at."""
        if self.family is None:
            return ()
        return tuple(self._at(cut, self.family, len(found)) for found in [self.family.cuts(bounds)] for cut in found)

    def _at(self, cut: cuts.Cut, family: cuts.Family, of: int) -> Guardrail:
        count = lambda arm: cut.count(family.bins(arm))  # noqa: E731
        return replace(
            self, where=cut.where, alpha=self.alpha / of, count=count, family=None, rare=False, says=cut.says
        )


def active(spec: RolloutSpec) -> tuple[Guardrail, ...]:
    """The guardrails that `spec` has switched on, each with its share of the error rates."""
    on = _on(spec)
    weights = [len(on) - 1 if g.name == ERRORS and len(on) > 1 else 1 for g in on]
    alphas = [spec.false_rollback_rate * weight / sum(weights) for weight in weights]
    return tuple(replace(g, alpha=alpha, beta=spec.false_promotion_rate) for g, alpha in zip(on, alphas, strict=True))


def _on(spec: RolloutSpec) -> list[Guardrail]:
    rails, on = spec.guardrails, []
    if rails.errors is not None:
        on.append(replace(_rail(ERRORS, rails.errors.margin, outcomes.errors), bursts=True))
    if rails.rejections is not None:
        on.append(replace(_rail("rejections", rails.rejections.margin, outcomes.rejections), bursts=True))
    if rails.latency is not None:
        on.append(_rail("latency", rails.latency.margin, outcomes.latency, rails.latency.threshold.total_seconds()))
    if rails.slowdown is not None:
        above = rails.slowdown.above.total_seconds()
        found = _rail("slowdown", rails.slowdown.margin, outcomes.latency, above)
        on.append(replace(found, family=cuts.latencies(above), of="timed answers", watched=False))
    if rails.scores is not None:
        found = _rail("scores", rails.scores.margin, outcomes.scores)
        on.append(replace(found, family=cuts.SCORES, late=True, of="scores in bins with known edges"))
    if rails.quality is not None:
        on.append(replace(_rail(QUALITY, rails.quality.margin, outcomes.quality), late=True, of="labels"))
    return [*on, *(_ratio(ratio) for ratio in rails.ratios)]


def _ratio(ratio: Ratio) -> Guardrail:
    # Evidence is about these counters: under the same name others may be meant after an edit.
    meant = ratio.model_dump_json(include={"numerator", "denominator", "labels", "version_label", "better"})
    found = _rail(ratio.name, ratio.margin, partial(outcomes.part, ratio), float(zlib.crc32(meant.encode())))
    return replace(found, of=f"{ratio.denominator} with {ratio.numerator}")


def _rail(name: str, margin: float, count: Callable[[Arm], Counts], where: float = 0.0) -> Guardrail:
    return Guardrail(name, margin, (where,), 1.0, 1.0, count)


def known(guardrail: Guardrail, evidence: Mapping[str, Evidence]) -> Evidence:
    """What is known about `guardrail` under its present terms; fresh when it is new or its terms were edited."""
    found = evidence.get(guardrail.name)
    if found is None or found.terms != guardrail.terms:
        return Evidence(terms=guardrail.terms)
    return found


def silent(guardrail: Guardrail, evidence: Evidence) -> bool:
    """Whether nothing is known that the guardrail could speak of, though nothing is amiss: labels may never come."""
    if guardrail.family is not None and not evidence.parts:
        return evidence.cuts is not None or not evidence.stable_trials  # nothing of stable's to compare with, or by
    if guardrail.family is not None and not evidence.blocks:
        return False  # cuts have just been chosen: the next block is the first one that may speak
    return guardrail.late and not (evidence.canary_trials and evidence.stable_trials)


def loudest(parts: Sequence[Evidence]) -> int | None:
    """Which of a family's comparisons speaks most against the canary; None where none has both arms' outcomes."""
    heard = [i for i, part in enumerate(parts) if part.stable_trials and part.canary_trials]
    return max(heard, key=lambda i: harm_now(parts[i]) - safe_now(parts[i]), default=None)


def whole(evidence: Evidence, parts: Sequence[Evidence]) -> Evidence:
    """A family's evidence with these parts: of harm their mean, of being safe the least; figures of the loudest.

    The mean of e-processes is one. A cut at which one of the arms has no outcomes says nothing.
    """
    worst = loudest(parts)
    if worst is None:
        return replace(evidence, parts=tuple(parts), blocks=evidence.blocks + 1)
    said = parts[worst]
    harm = sequential.mean([harm_now(part) for part in parts])
    safe = min(safe_now(part) for part in parts if part.stable_trials and part.canary_trials)
    return replace(
        evidence,
        stable_trials=said.stable_trials,
        stable_bad=said.stable_bad,
        canary_trials=said.canary_trials,
        canary_bad=said.canary_bad,
        log_harm=(harm,),
        log_safe=(safe,),
        peak_harm=max(evidence.peak_harm, harm),
        blocks=evidence.blocks + 1,
        parts=tuple(parts),
    )


def start_of_watch(evidence: Evidence) -> Evidence:
    """What a watch starts from: how the old champion did while the rollout went on."""
    e, parts = evidence, tuple(start_of_watch(part) for part in evidence.parts)
    return Evidence(e.stable_trials, e.stable_bad, terms=e.terms, clumps=e.clumps, cuts=e.cuts, parts=parts)


def start_beside(evidence: Evidence) -> Evidence:
    """What is known of both arms when a watch begins but for their counts: how clumped outcomes are, where cuts are."""
    e, parts = evidence, tuple(start_beside(part) for part in evidence.parts)
    return Evidence(terms=e.terms, blocks=e.blocks, clumps=e.clumps, shape=e.shape, cuts=e.cuts, parts=parts)


def harm_now(evidence: Evidence) -> float:
    """The log e-value of harm at this moment; 0 before the first block."""
    return sequential.total(evidence.log_harm) if evidence.log_harm else 0.0


def safe_now(evidence: Evidence) -> float:
    """The log e-value of safety at this moment; 0 before the first block."""
    return sequential.total(evidence.log_safe) if evidence.log_safe else 0.0


def near(guardrail: Guardrail, evidence: Evidence) -> bool:
    """Whether rollback is a third of the way (in logs) or nearer.

    A third, because one block counts for at most half of the way, part of it on bets not made: a canary that failed
    everything in its first block is near already, and gets no more traffic. A canary within the margin is held up
    with probability alpha^(1/3) at most (Ville again), and only until the evidence recedes.
    """
    return harm_now(evidence) >= guardrail.needed_harm / 3
