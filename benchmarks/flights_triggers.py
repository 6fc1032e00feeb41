"""A year of flights in replayed time: what each trigger gains over a model that is never retrained.

    python -m benchmarks.flights_triggers [--share 0.5] [--seeds 0 1 2 3] [--policies never drift quality]

The decisions are the loop's own (`decide.drift`, `decide.retrain`, `decide.quality`, `decide.champion`), the models are
made and judged by the pipeline's own code; only time is replayed, a day a step. Labels come a day late. A new version
that passes its gates serves everyone from the next day on; what its rollout would cost is not part of this. A seed
draws other flights for `--share`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from serinus import artifact, loading, models, sources
from serinus.decide import champion as gate
from serinus.decide import quality
from serinus.decide.drift import compare
from serinus.decide.retrain import Ask, drift_asks
from serinus.detectors import TABLE
from serinus.facts import Contract, DriftFinding, QualityFinding, Reference, Tally, Window
from serinus.models import reference, scoring
from serinus.sources.columns import Columns, typed
from serinus.spec import ModelLoop
from serinus.stats import bins
from serinus.stats import quality as figures
from serinus.steps import validate
from services.demo import flights
from services.quality.job import WINDOWS

SPEC = """
apiVersion: serinus.dev/v1alpha1
kind: ModelLoop
metadata: {name: flight-delay}
spec:
  task: binary-classification
  data:
    source: {files: {uri: data/}}
    time: time_hour
    label: late
    features:
      numeric: [distance, hour, temp, humid, wind_speed, precip, visib]
      categorical: [carrier, origin]
    history: 365d
    holdout: 7d
  training: {estimator: hist-gradient-boosting, params: {max_iter: 100, learning_rate: 0.05, min_samples_leaf: 100}}
  validation: {metric: roc_auc, minimum: 0.55, margin: 0.015}
  collect: {}
  labels: {delay: 1d}
  drift: {every: 1d, window: 1d, minRows: 400, detector: scipy, cooldown: 7d}
  quality:
    {metric: METRIC, margin: MARGIN, window: WINDOW, every: 1d, minLabelled: 200, falseAlarms: BUDGET, cooldown: 7d}
"""
FIRST = datetime(2013, 2, 1, tzinfo=UTC)  # the first day that a model answers
LAST = datetime(2013, 12, 31, tzinfo=UTC)
DAY = timedelta(days=1)
DELAY = DAY
POLICIES = ("never", "drift", "quality", "both")
T = TypeVar("T")


@dataclass
class Serving:
    """A version and what it answered so far."""

    number: int
    model: artifact.Model
    reference: Reference
    since: datetime
    days: list[datetime] = field(default_factory=list)
    scores: list[npt.NDArray[np.float64]] = field(default_factory=list)
    truths: list[npt.NDArray[np.str_]] = field(default_factory=list)
    answers: list[list[str]] = field(default_factory=list)
    counted: dict[tuple[int, tuple[bool, ...]], Tally] = field(default_factory=dict)


@dataclass
class Course:
    """How the year went by one policy."""

    policy: str
    scores: list[npt.NDArray[np.float64]] = field(default_factory=list)
    retrains: list[str] = field(default_factory=list)


def main() -> int:
    """Run every policy with every seed and print what it gained; 1 when quality recovers less than 70 % in the mean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.5, help="of the flights")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES))
    parser.add_argument("--metric", default="roc_auc")
    parser.add_argument("--margin", default="0.02")
    parser.add_argument("--window", default="1d")
    parser.add_argument("--budget", default="1 per 365d")
    given = parser.parse_args()
    text = SPEC.replace("METRIC", given.metric).replace("MARGIN", given.margin)
    spec = loading.parse(text.replace("WINDOW", given.window).replace("BUDGET", given.budget))
    recovered = []
    for seed in given.seeds:
        frame = typed(flights.read(given.share, seed), Columns.of(spec), "flights")
        print(f"{given.share:.0%} of the flights, seed {seed}", flush=True)
        means = {policy: _told(frame, _course(spec, frame, policy)) for policy in given.policies}
        if {"never", "drift", "quality"} <= means.keys():
            recovered.append((means["quality"] - means["never"]) / (means["drift"] - means["never"]))
            print(f"  the quality trigger alone recovers {recovered[-1]:.0%} of what the drift trigger gains")
    if not recovered:
        return 0
    print(f"recovered by quality alone: {np.mean(recovered):.0%} in the mean of {len(recovered)} runs (asked: 70 %)")
    return 0 if np.mean(recovered) >= 0.7 else 1


def _course(spec: ModelLoop, frame: pd.DataFrame, policy: str) -> Course:
    course, number = Course(policy), 1
    with tempfile.TemporaryDirectory() as folder:
        serving = _trained(spec, frame, FIRST, number, None, Path(folder))
        assert serving is not None, "the first version did not pass its gates"
        found: list[DriftFinding] = []
        ended: datetime | None = None
        day = FIRST
        while day <= LAST:
            rows = frame[(frame["time_hour"] >= day) & (frame["time_hour"] < day + DAY)]
            _answer(serving, rows, day)
            course.scores.append(serving.scores[-1])
            now = day + DAY
            asked, why = False, ""
            if policy in ("drift", "both"):
                found.append(_drift(spec, serving, rows, Window(day, now)))
                mine = [f for f in found if f.version == serving.number]
                ask = drift_asks(_on(spec.spec.drift), mine, ended, False, now)
                asked, why = bool(ask), f"drift: {ask.reason}"
            if policy in ("quality", "both") and not asked:
                finding, ask = _quality(spec, serving, ended, now)
                asked, why = bool(ask), f"quality: {finding.verdict.reason}"
            if asked:
                ended = now
                made = _trained(spec, frame, now, number + 1, serving, Path(folder))
                course.retrains.append(f"{now:%m-%d} {'promoted' if made else 'refused '} {why}")
                if made is not None:
                    number, serving = number + 1, made
            day = now
    return course


def _trained(
    spec: ModelLoop, frame: pd.DataFrame, now: datetime, number: int, before: Serving | None, folder: Path
) -> Serving | None:
    """The version that the pipeline would register from the rows whose labels are known at `now`; None: refused."""
    known = frame[frame["time_hour"] < now - DELAY]
    about = sources.snapshot(known, "flights", spec.spec.data.time, folder / f"data-{number}")
    rows, _ = sources.open_snapshot(folder / f"data-{number}")
    estimator, contract = models.fit(spec, rows, about, None)
    train, holdout = models.split(spec, rows)
    made = artifact.Model(contract, estimator, "")
    judged = validate.evaluate(spec, rows, about, made, None if before is None else before.model)
    if gate.refusals(judged.verdicts):
        return None
    said = reference.make(contract, estimator, train, holdout, spec.spec.training.seed)
    return Serving(number, made, said, now)


def _answer(serving: Serving, rows: pd.DataFrame, day: datetime) -> None:
    answered = scoring.answer(serving.model.contract, serving.model.estimator, rows)
    serving.days.append(day)
    serving.scores.append(answered.scores)
    serving.truths.append(rows["late"].to_numpy(dtype=str))
    serving.answers.append(answered.labels or [])


def _drift(spec: ModelLoop, serving: Serving, rows: pd.DataFrame, window: Window) -> DriftFinding:
    contract: Contract = serving.model.contract
    drift = _on(spec.spec.drift)
    counted = {}
    for one in contract.profile.features:
        values = rows[one.name]
        tallied = bins.tally(one, values.to_numpy(np.float64) if one.kind == "numeric" else values.tolist())
        counted[one.name] = dict(zip(one.labels(), tallied.counts, strict=True))
    score = bins.tally(contract.profile.score, serving.scores[-1])
    scored = dict(zip(score.labels(), score.counts, strict=True))
    return compare(
        drift, serving.number, contract.profile, counted, scored, p_values=TABLE[drift.detector], window=window
    )


def _quality(spec: ModelLoop, serving: Serving, ended: datetime | None, now: datetime) -> tuple[QualityFinding, Ask]:
    """What the quality job would find with the labels that are there at `now`."""
    wanted = _on(spec.spec.quality)
    contract = serving.model.contract
    tallies = _tallies(serving, wanted.window, now)
    finding = quality.judge(spec, serving.reference, serving.number, tallies, now, contract.positive)
    return finding, quality.asks(spec, finding, ended, False, now)


def _tallies(serving: Serving, every: timedelta, now: datetime) -> Sequence[Tally]:
    """As the collector counts for the quality job: its latest windows, truth None while a label has not come."""
    found, step = [], max(1, every // DAY)
    for at in list(range(0, len(serving.days), step))[-WINDOWS:]:
        days = range(at, min(at + step, len(serving.days)))
        late = [serving.days[d] + DAY + DELAY <= now for d in days]
        start = serving.days[at]
        if (at, tuple(late)) in serving.counted:
            found.append(serving.counted[at, tuple(late)])
            continue
        truths = [str(t) if known else None for d, known in zip(days, late, strict=True) for t in serving.truths[d]]
        answers = [answer for d in days for answer in serving.answers[d]]
        made = figures.cells(truths, answers, np.concatenate([serving.scores[d] for d in days]))
        rows = sum(c.rows for c in made)
        labelled = sum(c.rows for c in made if c.truth is not None)
        tally = Tally(serving.number, Window(start, start + step * DAY), rows, labelled, made)
        serving.counted[at, tuple(late)] = tally
        found.append(tally)
    return found


def _told(frame: pd.DataFrame, course: Course) -> float:
    """Print a course; its mean ROC AUC over the months from March to October."""
    from sklearn.metrics import roc_auc_score

    answered = frame[(frame["time_hour"] >= FIRST) & (frame["time_hour"] < LAST + DAY)]
    months, truth = answered["time_hour"].dt.month.to_numpy(), answered["late"].to_numpy(dtype=str) == "1"
    scores = np.concatenate(course.scores)
    aucs = {m: float(roc_auc_score(truth[months == m], scores[months == m])) for m in range(2, 13)}
    mean = float(np.mean([aucs[m] for m in range(3, 11)]))
    line = " ".join(f"{m:02d}:{auc:.3f}" for m, auc in aucs.items())
    print(f"  {course.policy:8} {line}  Mar-Oct {mean:.4f}, {len(course.retrains)} retrains", flush=True)
    for retrain in course.retrains:
        print(f"    {retrain[:200]}", flush=True)
    return mean


def _on(part: T | None) -> T:
    assert part is not None
    return part


if __name__ == "__main__":
    raise SystemExit(main())
