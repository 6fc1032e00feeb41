"""Whether a version is worse in production than it was on its holdout, and whether that asks for a new one.

Each window of prediction time whose labels had their time to come gives one figure. It is held against the holdout's
figure, worse by `margin`, with the e-detector of `serinus.stats.edetector`: however often one looks, a version that is
as good as that is sent into a retrain no more often than `falseAlarms` says, in the mean over time.

Two things make a figure worse though the version is not. The holdout itself is a sample: the bound is its confidence
bound, which fails for one version in ten, so that the others get the shorter mean time that is left. And days differ
beyond what chance in their rows explains (storms, weekends): how much is learned from the windows before each one, and
counts as error of the window, and of the holdout, which has days too.

All windows are judged anew at every look, so that labels which came late are in the figures they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

from serinus.decide.retrain import Ask, unless_busy
from serinus.facts import Measured, QualityFinding, QualityWindow, Reference, Tally, Verdict, Window
from serinus.spec import JUDGED, LoopSpec, ModelLoop, QualitySpec
from serinus.spec.budget import apart
from serinus.stats import edetector, estimate, quality, spread
from serinus.stats.figures import LOWER_IS_BETTER

GATE = "quality"
KEPT = 30  # windows that a finding holds
HOLDOUT_FAILS = 0.1  # for how many versions the holdout's confidence bound may be too good
GUESS = 0.5  # of the margin: the first guess at the standard deviation between windows
WEIGHT = 4  # and it counts as so many windows


def metric_of(spec: LoopSpec) -> str:
    """The figure that is judged: `quality.metric`, else `validation.metric` where it can be judged, else the task's."""
    wanted = spec.quality.metric if spec.quality is not None else None
    usual = spec.validation.metric if spec.validation.metric in JUDGED[spec.task] else JUDGED[spec.task][0]
    return wanted or usual


def mature(spec: LoopSpec, window: Window, now: datetime) -> bool:
    """Whether the labels of the window had `labels.delay` to come."""
    return window.end + spec.labels.delay <= now


def judge(
    spec: ModelLoop,
    reference: Reference | None,
    version: int,
    tallies: Sequence[Tally],
    now: datetime,
    positive: str | None = None,
) -> QualityFinding:
    """What `tallies` say of `version` at `now`; those of other versions and of slices are left out.

    reference: what the holdout said of the version; None of one that was made without. positive: the class that the
    scores are the probability of (`Contract.positive`), None for several classes and for a regression. Windows are
    those of the tallies, in any order. The finding has no `change`: `serinus.decide.concept.explain` finds that.

    fail: the evidence became enough with the window that ends at `since`, and the windows after it are not within the
    bound on average. pass: it did not, or they are. undecided: there is no window to judge, or nothing to hold it
    against. `window` is the latest that was judged, or the latest of all.
    """
    rules, metric = spec.spec.quality or QualitySpec(), metric_of(spec.spec)
    own = sorted((t for t in tallies if t.version == version and not t.column), key=lambda t: t.window.start)
    own = [t for t in own if t.window.end <= now] or own
    windows = tuple(_window(spec.spec, metric, reference, tally, now, positive) for tally in own)
    judged = [w for w in windows if w.mature and _enough(rules, w)]
    latest = judged[-1].window if judged else windows[-1].window if windows else Window(now - rules.window, now)
    holdout = reference.metrics.get(metric) if reference is not None else None
    if holdout is None or not judged:
        reason = _why_not(rules, version, metric, holdout, reference, windows)
        return QualityFinding(version, metric, latest, Verdict(GATE, "undecided", reason), windows[-KEPT:])
    test = _tested(spec.spec, rules, metric, holdout, [_measured(w) for w in judged])
    verdict = _verdict(rules, metric, holdout, judged, test)
    since = judged[test.alarm].window.end if verdict.outcome == "fail" and test.alarm is not None else None
    return QualityFinding(version, metric, latest, verdict, windows[-KEPT:], since=since)


def asks(
    spec: ModelLoop, finding: QualityFinding, last_run_ended: datetime | None, running: bool, now: datetime
) -> Ask:
    """Whether a finding asks for a run, whose key has `finding.since`: evidence that became enough asks once.

    A run that ended after it did has answered it: if the version still serves, new evidence has to come together.
    """
    rules, why = spec.spec.quality, finding.verdict.reason
    if rules is None or finding.verdict.outcome != "fail":
        return Ask(False, why)
    known = (finding.since or finding.window.end) + spec.spec.labels.delay
    if last_run_ended is not None and last_run_ended >= known:
        return Ask(False, f"{why}, but a run has ended since; more evidence is needed for another")
    return unless_busy(why, rules.cooldown, last_run_ended, running, now)


def _window(
    spec: LoopSpec, metric: str, reference: Reference | None, tally: Tally, now: datetime, positive: str | None
) -> QualityWindow:
    classes = tally.errors is None
    worth = quality.worth(tally.cells, spec.value.worth) if spec.value is not None and classes else None
    estimated = estimate.accuracy(reference.cells, tally.cells, positive) if reference is not None else None
    return QualityWindow(
        window=tally.window,
        rows=tally.rows,
        labelled=tally.labelled,
        mature=mature(spec, tally.window, now),
        measured=quality.measured(metric, tally, positive),
        estimated=estimated,
        accuracy=quality.measured("accuracy", tally, positive) if classes else None,
        worth=worth.value * worth.rows if worth is not None else None,
    )


def _enough(rules: QualitySpec, window: QualityWindow) -> bool:
    labelled = window.labelled >= rules.min_labelled and window.labelled >= rules.min_share * window.rows
    return labelled and window.measured is not None and math.isfinite(window.measured.value)


def _measured(window: QualityWindow) -> Measured:
    assert window.measured is not None  # noqa: S101 - `_enough` has seen to it
    return window.measured


@dataclass(frozen=True)
class _Test:
    """What the e-detector showed over the judged windows."""

    bound: float  # of the latest window, in the metric's own direction
    between: float  # standard deviation between windows, as of the latest
    evidence: float  # value of the detector after the latest window
    needed: float
    alarm: int | None  # the window with which it was enough the last time
    standing: bool  # whether the windows since are worse than the bound, too
    peak: float  # value at the alarm; of none, `evidence`


def _tested(spec: LoopSpec, rules: QualitySpec, metric: str, holdout: Measured, judged: Sequence[Measured]) -> _Test:
    """Each window against the bound as it was known before it. Everything in here is a loss: larger is worse."""
    sign = 1.0 if metric in LOWER_IS_BETTER else -1.0
    z = NormalDist().inv_cdf(1 - HOLDOUT_FAILS)
    days = max(spec.data.holdout / rules.window, 1.0)  # windows that the holdout spans
    guess = (GUESS * max(rules.margin, holdout.error)) ** 2
    losses = [sign * m.value for m in judged]
    # How sure a window's figure is goes by its rows as the holdout's does: known before the window, and never zero.
    alike = [max(holdout.error, 1e-9) * math.sqrt(holdout.rows / m.rows) for m in judged]
    within = [max(a, m.error) for a, m in zip(alike, judged, strict=True)]
    seen, bound, variance = [], math.inf, guess
    for i, loss in enumerate(losses):
        variance = spread.between(losses[:i], within[:i], guess, WEIGHT)
        bound = sign * holdout.value + z * math.sqrt(holdout.error**2 + variance / days) + rules.margin
        expected, error = (math.sqrt(s[i] ** 2 + variance) for s in (alike, within))
        seen.append(edetector.Seen(loss - bound, expected, error))
    needed = max(apart(rules.false_alarms) / rules.window, 1.0) / (1 - HOLDOUT_FAILS)
    path = edetector.run(seen, needed)
    alarm = path.alarms[-1] if path.alarms else None
    since = seen[alarm + 1 :] if alarm is not None else []
    standing = alarm is not None and (not since or sum(s.over / s.error**2 for s in since) > 0)
    evidence = math.exp(path.logs[-1])
    peak = math.exp(path.logs[alarm]) if alarm is not None else evidence
    return _Test(sign * bound, math.sqrt(variance), evidence, needed, alarm, standing, peak)


def _verdict(
    rules: QualitySpec, metric: str, holdout: Measured, judged: Sequence[QualityWindow], test: _Test
) -> Verdict:
    last = _measured(judged[-1])
    figures = {
        "holdout": holdout.value,
        "holdout_error": holdout.error,
        "margin": rules.margin,
        "bound": test.bound,
        "latest": last.value,
        "latest_error": last.error,
        "between": test.between,
        "windows": float(len(judged)),
        "labelled": float(judged[-1].labelled),
        "rows": float(judged[-1].rows),
        "evidence": test.evidence,
        "evidence_needed": test.needed,
        "evidence_peak": test.peak,
    }
    compared = (
        f"{metric}: {last.value:.3f} ({last.low:.3f} to {last.high:.3f}) in the window that ended"
        f" {judged[-1].window.end:%Y-%m-%d %H:%M} UTC, {judged[-1].labelled:,} of {judged[-1].rows:,} rows labelled,"
        f" against {holdout.value:.3f} on the holdout, where {rules.margin:g} worse is allowed"
    )
    if test.alarm is not None and test.standing:
        since = judged[test.alarm].window.end
        reason = (
            f"{compared}; worse by more than that with evidence {test.peak:,.0f} (needed {test.needed:,.0f})"
            f" since the window that ended {since:%Y-%m-%d %H:%M} UTC"
        )
        return Verdict(GATE, "fail", reason, figures)
    reason = f"{compared}; evidence that it is more: {test.evidence:,.1f} ({test.needed:,.0f} asks for a retrain)"
    return Verdict(GATE, "pass", reason, figures)


def _why_not(
    rules: QualitySpec,
    version: int,
    metric: str,
    holdout: Measured | None,
    reference: Reference | None,
    windows: Sequence[QualityWindow],
) -> str:
    if reference is None:
        return f"version {version} was made without a reference (what its holdout said): a new run makes one"
    if holdout is None:
        return f"the reference of version {version} has no {metric}: a new run with the present task makes one"
    ripe = [w for w in windows if w.mature]
    if not ripe:
        return f"{metric}: none of {len(windows)} windows is old enough for its labels to have come"
    last = ripe[-1]
    return (
        f"{metric}: {last.labelled:,} of {last.rows:,} rows of the latest window are labelled;"
        f" {rules.min_labelled:,} and {rules.min_share:.0%} are needed, of {metric}'s classes some each"
    )
