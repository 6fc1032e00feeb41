"""What a guardrail's evidence says in words, while a canary is on trial and while a new champion is watched."""

from __future__ import annotations

import math

from serinus.decide import cuts
from serinus.decide.guardrails import Guardrail, harm_now, loudest, safe_now
from serinus.facts import Evidence, Verdict


def on_trial(guardrail: Guardrail, evidence: Evidence) -> Verdict:
    """What the evidence says: fail (harm found, once and for ever), pass (found safe as of now), or undecided."""
    g, figures = guardrail, _figures(guardrail, evidence)
    if evidence.peak_harm >= g.needed_harm:
        return Verdict(g.name, "fail", _compared(g, evidence) + f", {_worse(g, evidence.peak_harm)}", figures)
    if g.family is not None and not evidence.parts and evidence.stable_trials:
        return Verdict(g.name, "undecided", _still_learns(g, evidence), figures)
    for arm, trials in (("the canary", evidence.canary_trials), ("stable", evidence.stable_trials)):
        if trials == 0:
            return Verdict(g.name, "undecided", f"{g.name}: {arm} has had no {g.of} to judge by", figures)
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


def against_past(guardrail: Guardrail, evidence: Evidence) -> Verdict:
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


def beside(guardrail: Guardrail, evidence: Evidence) -> Verdict:
    """The same against what the champion before does at the same time with the share that it kept."""
    g, figures = guardrail, _figures(guardrail, evidence)
    compared = _compared(g, evidence, "new champion", "the one before at the same time")
    if evidence.peak_harm >= g.needed_harm:
        return Verdict(g.name, "fail", f"{compared}, {_worse(g, evidence.peak_harm)}", figures)
    reason = f"{compared}, evidence of harm {odds(harm_now(evidence))} ({odds(g.needed_harm)} brings that back)"
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


def _compared(guardrail: Guardrail, evidence: Evidence, new: str = "canary", old: str = "stable") -> str:
    canary = _share(evidence.canary_bad, evidence.canary_trials)
    stable = _share(evidence.stable_bad, evidence.stable_trials)
    return f"{guardrail.name}: {_place(guardrail, evidence)}{new} {canary} against {old} {stable}"


def _place(guardrail: Guardrail, evidence: Evidence) -> str:
    """Which of a family's cuts its figures are of."""
    members = guardrail.members(evidence.cuts or ())
    worst = loudest(evidence.parts)
    return members[worst].says if worst is not None and members else ""


def _still_learns(guardrail: Guardrail, evidence: Evidence) -> str:
    if evidence.cuts is not None:
        return f"{guardrail.name}: nothing to compare by, as stable's are all in one bin"
    return f"{guardrail.name}: {evidence.stable_trials:,} of {cuts.ENOUGH:,} of stable's by which cuts are chosen"


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
