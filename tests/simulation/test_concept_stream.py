"""A world whose truth changes while its inputs stay: drift has nothing to say, quality finds it and says what it is.

The model, its reference, both judges and the loop are the real ones; days pass as fast as they can be counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from serinus import loading, models
from serinus.decide import concept, drift, loop, quality
from serinus.detectors import TABLE
from serinus.facts import (
    Bins,
    Contract,
    Dataset,
    DriftFinding,
    Plan,
    Prediction,
    QualityFinding,
    Record,
    Reference,
    Request,
    RoutingState,
    Status,
    Tally,
    Version,
    Window,
    World,
)
from serinus.models import reference, scoring
from serinus.stats import bins
from serinus.stats import quality as figures

SPEC = loading.parse("""
apiVersion: serinus.dev/v1alpha1
kind: ModelLoop
metadata: {name: parcels}
spec:
  task: binary-classification
  data:
    source: {files: {uri: data/}}
    time: at
    label: late
    features: {numeric: [weight, distance], categorical: [carrier]}
    history: 60d
    holdout: 10d
  training: {estimator: logistic-regression}
  validation: {metric: roc_auc}
  collect: {}
  labels: {delay: 1d}
  drift: {every: 1d, window: 1d, detector: scipy}
  quality: {metric: accuracy, margin: 0.02, window: 1d, falseAlarms: 1 per 365d}
""")
ROWS = 800  # a day
DAY = timedelta(days=1)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
TRAINED, CHANGED, LAST = 60, 75, 82  # days


def rows(seed: int, day: int) -> pd.DataFrame:
    """One day; from CHANGED on heavy parcels are no longer late, and far ones more so."""
    rng = np.random.default_rng([seed, day])
    weight, distance = rng.gamma(2.0, 1.0, ROWS), rng.normal(0.0, 1.0, ROWS)
    carrier = rng.choice(["a", "b", "c"], ROWS, p=[0.5, 0.3, 0.2])
    pull = (1.4, 0.4) if day < CHANGED else (-0.2, 1.2)
    chance = 1 / (1 + np.exp(-(pull[0] * (weight - 2) + pull[1] * distance + 0.5 * (carrier == "c"))))
    times = FIRST + day * DAY + pd.to_timedelta(np.sort(rng.integers(0, 86_399, ROWS)), unit="s")
    late = np.where(rng.random(ROWS) < chance, "yes", "no")
    return pd.DataFrame({"at": times, "weight": weight, "distance": distance, "carrier": carrier, "late": late})


class Served:
    """The version that learned the first TRAINED days, and what it answered since."""

    def __init__(self, seed: int) -> None:
        frame = pd.concat([rows(seed, day) for day in range(TRAINED)], ignore_index=True)
        window = Window(FIRST, FIRST + TRAINED * DAY)
        self.estimator, self.contract = models.fit(SPEC, frame, Dataset("", "made up", window, len(frame), {}), None)
        train, holdout = models.split(SPEC, frame)
        self.reference: Reference = reference.make(self.contract, self.estimator, train, holdout, 0)
        self.tallies: list[Tally] = []
        self.records: list[Record] = []

    def answer(self, seed: int, day: int) -> DriftFinding:
        """Answer a day; what the drift job finds in it."""
        frame = rows(seed, day)
        said = scoring.answer(self.contract, self.estimator, frame)
        assert said.labels is not None
        window = Window(FIRST + day * DAY, FIRST + (day + 1) * DAY)
        cells = figures.cells(frame["late"].tolist(), said.labels, said.scores)
        self.tallies.append(Tally(1, window, ROWS, ROWS, cells))
        names = [field.name for field in self.contract.fields]
        for place, row in enumerate(frame.to_dict(orient="records")):
            features = {name: row[name] for name in names}
            at = row["at"].to_pydatetime()
            prediction = Prediction(f"{day}/{place}", 1, at, features, float(said.scores[place]), said.labels[place])
            self.records.append(Record(prediction, row["late"], at + DAY))
        counted = {one.name: _counts(one, frame) for one in self.contract.profile.features}
        score = bins.tally(self.contract.profile.score, said.scores)
        scored = dict(zip(score.labels(), score.counts, strict=True))
        spec = SPEC.spec.drift
        assert spec is not None
        return drift.compare(
            spec, 1, self.contract.profile, counted, scored, p_values=TABLE[spec.detector], window=window
        )

    def judged(self, now: datetime) -> QualityFinding:
        """What the quality job finds with the labels that are there."""
        known = [t if t.window.end + DAY <= now else _unlabelled(t) for t in self.tallies]
        finding = quality.judge(SPEC, self.reference, 1, known, now, _positive(self.contract))
        if finding.verdict.outcome != "fail" or finding.since is None:
            return finding
        start = finding.since - 3 * DAY
        rows = [r for r in self.records if start <= r.prediction.time and r.prediction.time + 2 * DAY <= now]
        return replace(finding, change=concept.explain(self.reference, rows, _positive(self.contract)))


def _counts(one: Bins, frame: pd.DataFrame) -> Mapping[str, int]:
    values = frame[one.name]
    found = bins.tally(one, values.to_numpy(np.float64) if one.kind == "numeric" else values.tolist())
    return dict(zip(one.labels(), found.counts, strict=True))


def _unlabelled(tally: Tally) -> Tally:
    return replace(tally, labelled=0, cells=tuple(replace(cell, truth=None) for cell in tally.cells))


def _positive(contract: Contract) -> str:
    assert contract.positive is not None
    return contract.positive


def _look(status: Status, finding: QualityFinding, now: datetime) -> Plan:
    request = Request(f"quality-{now:%Y%m%d}", "quality", now, "quality job", quality=finding)
    version = Version("parcels", 1, "parcels-initial-x", FIRST, aliases=frozenset({"champion"}))
    world = World((version,), (), RoutingState(), requests=(request,))
    return loop.next(SPEC, status, world, now)


@pytest.mark.parametrize("seed", range(3))
def test_concept_drift_without_input_drift_is_found_by_quality_alone_within_three_mature_windows(seed: int) -> None:
    served = Served(seed)
    status = Status("parcels", champion=1, decided=1, last_scheduled=FIRST)
    fired, plan = None, None
    for day in range(TRAINED, LAST):
        assert served.answer(seed, day).verdict.outcome == "pass"
        now = FIRST + (day + 1) * DAY
        plan = _look(status, served.judged(now), now)
        status = plan.status
        if plan.run is not None:
            fired = day
            break
    assert fired is not None
    assert plan is not None
    mature = fired - CHANGED  # whole days since the change whose labels had a day to come
    assert 1 <= mature <= 3
    assert plan.run is not None
    assert plan.run.cause == "quality"
    fell = next(event for event in plan.events if event.kind == "QualityFell")
    assert "concept drift" in fell.message
    assert "data drift" not in fell.message
