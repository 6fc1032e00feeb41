"""A trained loop, counters that its predictors could have told, and findings: for tests of the drift job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from serinus import artifact, models, sources
from serinus.facts import Bins, Contract, DriftFinding, Outcome, Verdict, Window
from serinus.spec import ModelLoop
from services.drift.counts import FEATURES, SCORES
from tests import data_sets


@dataclass(frozen=True)
class Trained:
    """A model directory, its contract and its loop."""

    spec: ModelLoop
    directory: Path
    contract: Contract


def train(folder: Path) -> Trained:
    """A small loop's first version, made in `folder`."""
    drift = {"every": "1h", "window": "1d", "minRows": 200, "detector": "scipy"}
    spec, frame = data_sets.binary(drift=drift, training={"estimator": "logistic-regression"})
    dataset = sources.snapshot(frame, "made up", spec.spec.data.time, folder / "data")
    estimator, contract = models.fit(spec, frame, dataset, None)
    artifact.save(folder / "model", estimator, contract)
    return Trained(spec, folder / "model", contract)


def told(contract: Contract, rows: int, moved: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """The predictor's bin counters after so many rows."""
    for bins in contract.profile.features:
        for label, count in spread(bins, rows, bins.name == moved).items():
            yield FEATURES, {"feature": bins.name, "bin": label}, count
    for label, count in spread(contract.profile.score, rows, moved == "score").items():
        yield SCORES, {"bin": label}, count


def spread(bins: Bins, rows: int, moved: bool) -> Mapping[str, int]:
    """`rows` over the bins as in training, or over two of them."""
    shares = np.array(bins.counts) / sum(bins.counts)
    if moved:
        shares = np.array([0.0, 0.7, 0.3, *np.zeros(len(shares) - 3)])
    counts = np.floor(shares * rows).astype(int)
    counts[counts.argmax()] += rows - counts.sum()
    return dict(zip(bins.labels(), counts.tolist(), strict=True))


def finding(end: datetime, outcome: Outcome = "fail", version: int = 1) -> DriftFinding:
    """What a look at the day before `end` found."""
    return DriftFinding(version, Window(end - timedelta(days=1), end), 900, Verdict("drift", outcome, "why"))
