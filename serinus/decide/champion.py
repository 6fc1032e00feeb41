"""Whether a candidate may be let near users: better than nothing, good enough, and not worse than the champion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from serinus.facts import Evaluation, FairnessGap, SliceScore, Verdict
from serinus.spec import Fairness, Validation
from serinus.stats.fairness import deciding
from serinus.stats.leaks import AUC_SMELL, Leak


def judge(
    spec: Validation,
    evaluation: Evaluation,
    leaks: Sequence[Leak] = (),
    incomparable: str = "",
) -> tuple[Verdict, ...]:
    """One verdict a question: minimum, baseline, champion, slices, fairness, leakage; those that do not arise are left
    out.

    `incomparable` says why a champion, though there, could not be scored on these rows; the candidate then stands on
    minimum and baseline like a loop's first version, and an `undecided` verdict says so.
    """
    verdicts = [_baseline(evaluation), _leakage(evaluation, leaks)]
    if spec.minimum is not None:
        verdicts.insert(0, _minimum(spec.minimum, evaluation))
    if incomparable:
        verdicts.append(Verdict("champion", "undecided", f"The champion could not be compared: {incomparable}."))
    elif evaluation.champion is not None:
        verdicts.append(_champion(spec, evaluation, evaluation.champion))
        verdicts += _slices(spec, evaluation)
    if spec.fairness is not None:
        verdicts.append(_fairness(spec.fairness, evaluation))
    return tuple(verdicts)


def refusals(verdicts: Sequence[Verdict]) -> list[str]:
    """Why the candidate may not pass: the reasons of every `fail` and `error`; empty when it may."""
    return [v.reason for v in verdicts if v.outcome in ("fail", "error")]


def _minimum(minimum: float, evaluation: Evaluation) -> Verdict:
    figures = {"candidate": evaluation.candidate, "minimum": minimum}
    if (unclear := _unclear("minimum", figures)) is not None:
        return unclear
    good = _sign(evaluation) * (evaluation.candidate - minimum) >= 0
    bound = "at least" if evaluation.higher_is_better else "at most"
    said = f"{evaluation.metric} is {evaluation.candidate:.4f} on the holdout; validation.minimum asks for {bound}"
    return Verdict("minimum", "pass" if good else "fail", f"{said} {minimum:g}.", figures)


def _baseline(evaluation: Evaluation) -> Verdict:
    """The interval of the difference must lie above 0: a model of noise beats a constant half of the time."""
    low, high = evaluation.baseline_interval or (math.nan, math.nan)
    figures = {"candidate": evaluation.candidate, "baseline": evaluation.baseline, "low": low, "high": high}
    if (unclear := _unclear("baseline", figures, evaluation.method)) is not None:
        return unclear
    metric, percent = evaluation.metric, f"{evaluation.confidence:.0%}"
    said = f"{metric} is {evaluation.candidate:.4f}, {evaluation.baseline:.4f} without any feature"
    if low > 0:
        return Verdict("baseline", "pass", f"{said}; better by at least {low:.4f} at {percent} confidence.", figures)
    reason = f"{said}; at {percent} confidence the gain may be {low:+.4f}, so the features were not shown to help."
    return Verdict("baseline", "fail", reason, figures)


def _champion(spec: Validation, evaluation: Evaluation, champion: float) -> Verdict:
    """Non-inferiority: the whole interval of the difference lies above -margin."""
    low, high = evaluation.interval or (math.nan, math.nan)
    difference = math.nan if evaluation.difference is None else evaluation.difference
    figures = {
        "candidate": evaluation.candidate, "champion": champion, "difference": difference,
        "low": low, "high": high, "margin": spec.margin,
    }  # fmt: skip
    if (unclear := _unclear("champion", figures, evaluation.method)) is not None:
        return unclear
    percent = f"{evaluation.confidence:.0%}"
    said = (
        f"{evaluation.metric} is {evaluation.candidate:.4f} against the champion's {champion:.4f} on the same "
        f"{evaluation.rows} rows; the difference, positive being better, is {difference:+.4f}, between {low:+.4f} and "
        f"{high:+.4f} at {percent} confidence"
    )
    if low >= -spec.margin:
        return Verdict("champion", "pass", f"{said}: not worse by more than the margin {spec.margin:g}.", figures)
    if difference <= -spec.margin:
        return Verdict("champion", "fail", f"{said}: worse by at least the margin {spec.margin:g}.", figures)
    # The interval shrinks with the root of the rows.
    rows = evaluation.rows * ((difference - low) / (difference + spec.margin)) ** 2
    could = f"some {math.ceil(rows)} holdout rows" if rows <= 10 * evaluation.rows else "many more holdout rows"
    advice = f"it may be worse by more than the margin {spec.margin:g}; {could} or a wider margin could tell"
    return Verdict("champion", "fail", f"{said}: {advice}.", figures)


def _slices(spec: Validation, evaluation: Evaluation) -> tuple[Verdict, ...]:
    """A slice fails when it is worse by more than `sliceMargin` and this is not chance.

    Chance: at `confidence` over all deciding slices together (Bonferroni), the paired difference is below 0. Without
    that, one noisy slice in fifty would stop a good candidate most of the time.
    """
    deciding = [s for s in evaluation.slices if s.rows >= spec.min_slice_rows and s.champion is not None]
    if not deciding:
        return ()
    reach = NormalDist().inv_cdf(1 - (1 - evaluation.confidence) / 2 / len(deciding))
    gains = {s: _gain(evaluation, s) for s in deciding}
    figures = {f"{s.column}={s.value}": gain for s, gain in gains.items()}
    bad = [s for s, gain in gains.items() if not gain >= -spec.slice_margin and not _chance(gain, s.error, reach)]
    if bad:
        said = ", ".join(
            f"{s.column}={s.value} ({s.candidate:.4f} against {s.champion:.4f} on {s.rows} rows)" for s in bad
        )
        reason = f"{evaluation.metric} is worse than the champion's by more than {spec.slice_margin:g} where {said}."
        return (Verdict("slices", "fail", reason, figures),)
    reason = (
        f"No slice of {len(deciding)} is worse than the champion's by more than {spec.slice_margin:g} beyond chance."
    )
    return (Verdict("slices", "pass", reason, figures),)


def _fairness(spec: Fairness, evaluation: Evaluation) -> Verdict:
    """A gap that is too large beyond chance fails: its whole interval lies over `maxGap`. One that is shown to be small
    enough passes; what lies between is undecided, which refuses nothing and is said.
    """
    known = [gap for gap in evaluation.fairness if deciding(gap, spec.min_rows) > 1]
    figures = {f"{gap.column} {name}": getattr(gap, name) for gap in known for name in ("gap", "low", "high")}
    unfair = [gap for gap in known if gap.low > spec.max_gap]
    if unfair:
        said = "; ".join(_gap(gap, spec.min_rows) for gap in unfair)
        reason = f"{spec.metric} differs by more than {spec.max_gap:g} between groups: {said}."
        return Verdict("fairness", "fail", reason, figures)
    unknown = [gap.column for gap in evaluation.fairness if gap not in known]
    unsure = [gap for gap in known if gap.high > spec.max_gap]
    doubts = [_gap(gap, spec.min_rows) for gap in unsure]
    doubts += [f"{column} has fewer than two groups with {spec.min_rows} rows to tell" for column in unknown]
    if doubts:
        reason = f"Whether {spec.metric} differs by more than {spec.max_gap:g} is not shown: {'; '.join(doubts)}."
        return Verdict("fairness", "undecided", reason, figures)
    said = "; ".join(_gap(gap, spec.min_rows) for gap in known)
    return Verdict("fairness", "pass", f"{spec.metric} differs by at most {spec.max_gap:g}: {said}.", figures)


def _gap(gap: FairnessGap, min_rows: int) -> str:
    """The groups that are furthest apart, and the interval."""
    rates = {group: rate for group, rate in gap.groups.items() if gap.rows[group] >= min_rows}
    most, least = max(rates, key=rates.__getitem__), min(rates, key=rates.__getitem__)
    furthest = f"{most} {rates[most]:.3f}, {least} {rates[least]:.3f}"
    return f"{gap.column} by {gap.gap:.3f} ({furthest}), between {gap.low:.3f} and {gap.high:.3f}"


def _gain(evaluation: Evaluation, piece: SliceScore) -> float:
    champion = math.nan if piece.champion is None else piece.champion
    return _sign(evaluation) * (piece.candidate - champion)


def _chance(gain: float, error: float | None, reach: float) -> bool:
    """Without a standard error nothing speaks for chance."""
    return error is not None and gain + reach * error >= 0


def _leakage(evaluation: Evaluation, leaks: Sequence[Leak]) -> Verdict:
    reasons = [f"feature {leak.column} {leak.what}: {leak.figure:g}" for leak in leaks]
    figures = {leak.column: leak.figure for leak in leaks}
    reached = evaluation.metrics.get("roc_auc")
    if reached is not None:
        figures["roc_auc"] = reached
        if not reached <= AUC_SMELL:
            reasons.append(f"roc_auc {reached:.4f} is over {AUC_SMELL}, too good to be true on unseen rows")
    if reasons:
        reason = f"The label seems to have leaked into the features: {'; '.join(reasons)}."
        return Verdict("leakage", "fail", reason, figures)
    return Verdict("leakage", "pass", "No feature tells the label by itself.", figures)


def _unclear(gate: str, figures: dict[str, float], method: str = "") -> Verdict | None:
    """A figure that is not a number decides nothing, so the gate stays shut."""
    bad = [name for name, figure in figures.items() if not math.isfinite(figure)]
    if not bad:
        return None
    given = {name: figure for name, figure in figures.items() if math.isfinite(figure)}
    why = f" ({method})" if method else ""
    return Verdict(gate, "error", f"{gate}: expected numbers, but {', '.join(bad)} could not be computed{why}.", given)


def _sign(evaluation: Evaluation) -> int:
    return 1 if evaluation.higher_is_better else -1
