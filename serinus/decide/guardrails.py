"""Guardrails: which ones hold, what each counts, how its evidence grows, and what that evidence says in words.

Error rates. Rolling back wrongly takes one false crossing of any guardrail, so false_rollback_rate is divided among
the active ones (Bonferroni). Promoting wrongly takes that a guardrail which is truly broken is found safe, whatever
the others say, so each may use all of false_promotion_rate (an intersection-union test: Berger 1982).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from serinus.facts import Arm, Evidence, Verdict
from serinus.spec import RolloutSpec
from serinus.stats import sequential
from serinus.stats.sequential import Counts

QUALITY = "quality"


@dataclass(frozen=True)
class Guardrail:
    """One thing that the canary must not be worse at; `alpha` and `beta` are its own shares of the error rates."""

    name: str
    margin: float
    threshold: float  # seconds over which an answer is slow; 0 where nothing is timed
    alpha: float
    beta: float
    count: Callable[[Arm], Counts]
    late: bool = False  # its outcomes are known late or never: where none is known, it is not asked

    @property
    def terms(self) -> tuple[float, ...]:
        """What evidence is about: it does not outlive an edit of these."""
        return (self.threshold, self.margin)

    @property
    def needed_harm(self) -> float:
        """The log e-value that rolls back."""
        return -math.log(self.alpha)

    @property
    def needed_safe(self) -> float:
        """The log e-value that counts as the finding "not worse by the margin"."""
        return -math.log(self.beta)


def active(spec: RolloutSpec) -> tuple[Guardrail, ...]:
    """The guardrails that `spec` has switched on, each with its share of the error rates."""
    on: list[tuple[str, float, float, Callable[[Arm], Counts]]] = []
    rails = spec.guardrails
    if rails.errors is not None:
        on.append(("errors", rails.errors.margin, 0.0, _errors))
    if rails.rejections is not None:
        on.append(("rejections", rails.rejections.margin, 0.0, _rejections))
    if rails.latency is not None:
        on.append(("latency", rails.latency.margin, rails.latency.threshold.total_seconds(), _latency))
    if rails.quality is not None:
        on.append((QUALITY, rails.quality.margin, 0.0, _quality))
    return tuple(
        Guardrail(
            name,
            margin,
            threshold,
            spec.false_rollback_rate / len(on),
            spec.false_promotion_rate,
            count,
            late=name == QUALITY,
        )
        for name, margin, threshold, count in on
    )


def known(guardrail: Guardrail, evidence: Mapping[str, Evidence]) -> Evidence:
    """What is known about `guardrail` under its present terms; fresh when it is new or its terms were edited."""
    found = evidence.get(guardrail.name)
    if found is None or found.terms != guardrail.terms:
        return Evidence(terms=guardrail.terms)
    return found


def silent(guardrail: Guardrail, evidence: Evidence) -> bool:
    """Whether nothing is known that the guardrail could speak of, though nothing is amiss: labels may never come."""
    return guardrail.late and not (evidence.canary_trials and evidence.stable_trials)


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


def verdict(guardrail: Guardrail, evidence: Evidence) -> Verdict:
    """What the evidence says: fail (harm found, once and for ever), pass (found safe as of now), or undecided."""
    g, figures = guardrail, _figures(guardrail, evidence)
    if evidence.peak_harm >= g.needed_harm:
        return Verdict(g.name, "fail", _compared(g, evidence) + f", {_worse(g, evidence.peak_harm)}", figures)
    for arm, trials in (("the canary", evidence.canary_trials), ("stable", evidence.stable_trials)):
        if trials == 0:
            what = "labels" if g.late else "requests"
            return Verdict(g.name, "undecided", f"{g.name}: {arm} has had no {what} to judge by", figures)
    safe = safe_now(evidence)
    needed = odds(g.needed_safe)
    if safe >= g.needed_safe:
        reason = f", not worse by {points(g.margin)} with evidence {odds(safe)} (needed {needed})"
        return Verdict(g.name, "pass", _compared(g, evidence) + reason, figures)
    reason = (
        f", neither shown yet: evidence of harm {odds(harm_now(evidence))} ({odds(g.needed_harm)} rolls back), "
        f"of being safe {odds(safe)} ({needed} lets it in)"
    )
    return Verdict(g.name, "undecided", _compared(g, evidence) + reason, figures)


def watch_verdict(guardrail: Guardrail, evidence: Evidence) -> Verdict:
    """fail (the new champion is worse than the old one was during the rollout), or undecided: a watch proves no safety.

    Half of alpha went into the bound on the old one's rate, so that twice the evidence is needed.
    """
    g, figures = guardrail, _figures(guardrail, evidence)
    if evidence.stable_trials == 0:
        reason = f"{g.name}: nothing is known of the champion before, so there is nothing to compare with"
        return Verdict(g.name, "undecided", reason, figures)
    compared = _compared(g, evidence, "new champion", "the one before")
    needed = g.needed_harm + math.log(2)
    if evidence.peak_harm >= needed:
        return Verdict(g.name, "fail", f"{compared}, {_worse(g, evidence.peak_harm, needed)}", figures)
    reason = f"{compared}, evidence of harm {odds(harm_now(evidence))} ({odds(needed)} brings the one before back)"
    return Verdict(g.name, "undecided", reason, figures)


def odds(log_e: float) -> str:
    """Evidence as people read it: 1:5,400 says that chance would show as much once in 5,400 times at most."""
    if log_e <= 0:
        return "none"
    if log_e > math.log(1e9):
        return f"1:10^{int(log_e / math.log(10))}"
    value = math.exp(log_e)
    return f"1:{value:,.0f}" if round(value, 1) >= 10 else f"1:{value:.1f}"


def points(margin: float) -> str:
    """A difference of rates: 0.01 -> 1 percentage point."""
    number = f"{100 * margin:g}"
    return f"{number} percentage point{'' if number == '1' else 's'}"


def _errors(arm: Arm) -> Counts:
    return Counts(arm.answers, arm.errors)


def _rejections(arm: Arm) -> Counts:
    return Counts(arm.answers + arm.rejected, arm.rejected)


def _latency(arm: Arm) -> Counts:
    return Counts(arm.timed, arm.slow)


def _quality(arm: Arm) -> Counts:
    return Counts(arm.labelled, arm.wrong)


def _compared(guardrail: Guardrail, evidence: Evidence, new: str = "canary", old: str = "stable") -> str:
    canary = _share(evidence.canary_bad, evidence.canary_trials)
    return f"{guardrail.name}: {new} {canary} against {old} {_share(evidence.stable_bad, evidence.stable_trials)}"


def _share(bad: int, trials: int) -> str:
    return f"{bad:,} of {trials:,} ({100 * bad / trials:.1f} %)" if trials else "0 of 0"


def _worse(guardrail: Guardrail, log_e: float, needed: float | None = None) -> str:
    least = odds(guardrail.needed_harm if needed is None else needed)
    return f"worse by more than {points(guardrail.margin)} with evidence {odds(log_e)} (needed {least})"


def _figures(guardrail: Guardrail, evidence: Evidence) -> dict[str, float]:
    """The figures of a verdict; logs are natural, since e-values themselves outgrow a float."""
    figures: dict[str, float] = {
        "canary_trials": evidence.canary_trials,
        "canary_bad": evidence.canary_bad,
        "stable_trials": evidence.stable_trials,
        "stable_bad": evidence.stable_bad,
        "margin": guardrail.margin,
        "log_harm": harm_now(evidence),
        "log_harm_peak": evidence.peak_harm,
        "log_harm_needed": guardrail.needed_harm,
        "log_safe": safe_now(evidence),
        "log_safe_needed": guardrail.needed_safe,
    }
    if evidence.canary_trials:
        figures["canary_rate"] = evidence.canary_bad / evidence.canary_trials
    if evidence.stable_trials:
        figures["stable_rate"] = evidence.stable_bad / evidence.stable_trials
    return figures
