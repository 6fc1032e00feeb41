"""Whether a version is worse in production than it was on its holdout, and whether that asks for a new one.

Each window of prediction time whose labels had their time to come gives one figure. It is held against the holdout's
figure, worse by `margin`, as `serinus.decide.evidence` weighs it: however often one looks, a version that is as good as
that is sent into a retrain no more often than `falseAlarms` says, in the mean over time.

All windows are judged anew at every look, so that labels which came late are in the figures they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from serinus.decide.evidence import Weighed, weigh
from serinus.decide.retrain import Ask, unless_busy
from serinus.facts import Measured, QualityFinding, QualityWindow, Reference, Tally, Verdict, Window
from serinus.spec import JUDGED, LoopSpec, ModelLoop, QualitySpec
from serinus.stats import estimate, quality

GATE = "quality"
KEPT = 30  # windows that a finding holds


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

    fail: the evidence became enough with the window that ends at `since`, and no two windows in a row were within the
    bound after it. pass: it did not, or they were. undecided: there is no window to judge, or nothing to hold it
    against. `window` is the latest that was judged, or the latest of all.
    """
    rules, metric = spec.spec.quality or QualitySpec(), metric_of(spec.spec)
    own = sorted((t for t in tallies if t.version == version and not t.column), key=lambda t: t.window.start)
    own = [t for t in own if t.window.end <= now] or own
    known = estimate.calibration(reference.cells, positive) if reference is not None else None
    windows = tuple(_window(spec.spec, metric, known, tally, now, positive) for tally in own)
    judged = [w for w in windows if w.mature and _enough(rules, w)]
    latest = judged[-1].window if judged else windows[-1].window if windows else Window(now - rules.window, now)
    holdout = reference.metrics.get(metric) if reference is not None else None
    if holdout is None or not judged:
        reason = _why_not(rules, version, metric, holdout, reference, windows)
        return QualityFinding(version, metric, latest, Verdict(GATE, "undecided", reason), windows[-KEPT:])
    weighed = weigh(spec.spec, metric, holdout, [_measured(w) for w in judged])
    verdict = _verdict(rules, metric, holdout, judged, weighed)
    since = judged[weighed.alarms[-1]].window.end if verdict.outcome == "fail" else None
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
    spec: LoopSpec, metric: str, known: estimate.Calibration | None, tally: Tally, now: datetime, positive: str | None
) -> QualityWindow:
    classes = tally.errors is None
    worth = quality.worth(tally.cells, spec.value.worth) if spec.value is not None and classes else None
    return QualityWindow(
        window=tally.window,
        rows=tally.rows,
        labelled=tally.labelled,
        mature=mature(spec, tally.window, now),
        measured=quality.measured(metric, tally, positive),
        estimated=estimate.calibrated(known, tally.cells, positive),
        accuracy=quality.measured("accuracy", tally, positive) if classes else None,
        worth=worth.value * worth.rows if worth is not None else None,
    )


def _enough(rules: QualitySpec, window: QualityWindow) -> bool:
    labelled = window.labelled >= rules.min_labelled and window.labelled >= rules.min_share * window.rows
    return labelled and window.measured is not None and math.isfinite(window.measured.value)


def _measured(window: QualityWindow) -> Measured:
    assert window.measured is not None  # noqa: S101 - `_enough` has seen to it
    return window.measured


def _verdict(
    rules: QualitySpec, metric: str, holdout: Measured, judged: Sequence[QualityWindow], weighed: Weighed
) -> Verdict:
    window, last = judged[-1], _measured(judged[-1])
    peak = weighed.values[weighed.alarms[-1] if weighed.alarms else -1]
    figures = {
        "holdout": holdout.value,
        "holdout_error": holdout.error,
        "margin": rules.margin,
        "bound": weighed.bound,
        "latest": last.value,
        "latest_error": last.error,
        "between": weighed.between,
        "windows": float(len(judged)),
        "rows": float(window.rows),
        "labelled": float(window.labelled),
        "evidence": weighed.values[-1],
        "evidence_needed": weighed.needed,
        "evidence_peak": peak,
    }
    compared = (
        f"{metric}: {_shown(last.value)} ({_shown(last.low)} to {_shown(last.high)})"
        f" in the window that ended {_at(window)}, {window.labelled:,} of {window.rows:,} rows labelled,"
        f" against {_shown(holdout.value)} on the holdout; {rules.margin:g} worse is allowed"
    )
    if weighed.standing:
        since = _at(judged[weighed.alarms[-1]])
        reason = f"{compared}; worse than that with evidence {peak:,.0f} (needed {weighed.needed:,.0f}) since {since}"
        return Verdict(GATE, "fail", reason, figures)
    evidence = f"{weighed.values[-1]:,.1f} ({weighed.needed:,.0f} asks for a retrain)"
    return Verdict(GATE, "pass", f"{compared}; evidence that it is worse than that: {evidence}", figures)


def _shown(figure: float) -> str:
    """Shares with three digits after the point; errors in the label's unit may be of any size."""
    return f"{figure:.3f}" if 0.01 <= abs(figure) < 1000 else f"{figure:.4g}"


def _at(window: QualityWindow) -> str:
    return f"{window.window.end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


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
