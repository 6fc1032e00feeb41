"""A trained loop with what its holdout said, and days of production as the collector would hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from serinus import artifact, models, sources
from serinus.adapters import migrations, sql_engine
from serinus.adapters.records_sql import SqlRecords
from serinus.facts import Contract, Label, Prediction, Value
from serinus.models import reference, scoring
from serinus.spec import ModelLoop
from tests import data_sets

DAY = timedelta(days=1)
FIRST = data_sets.END  # the model's newest row; production begins with this day


@dataclass(frozen=True)
class Made:
    """A model directory, its contract and its loop."""

    spec: ModelLoop
    directory: Path
    contract: Contract
    estimator: Any


def make(folder: Path, referenced: bool = True, rows: int = 4000, **spec: Any) -> Made:
    """The loop `parcels`, its first version made in `folder`; `spec` as in `data_sets.binary`."""
    parts = {"collect": {}, "quality": {"metric": "accuracy"}, "training": {"estimator": "logistic-regression"}}
    loop, frame = data_sets.binary(rows, **{**parts, **spec})
    dataset = sources.snapshot(frame, "made up", loop.spec.data.time, folder / "data")
    estimator, contract = models.fit(loop, frame, dataset, None)
    train, holdout = models.split(loop, frame)
    known = reference.make(contract, estimator, train, holdout, 0) if referenced else None
    artifact.save(folder / "model", estimator, contract, known)
    return Made(loop, folder / "model", contract, estimator)


def opened(folder: Path, now: datetime) -> tuple[SqlRecords, sa.Engine]:
    """The collector's database with nothing in it."""
    engine = sql_engine.connect(f"sqlite:///{folder / 'records.db'}")
    migrations.up(engine)
    return SqlRecords(engine, "local", b"k" * 32, now=lambda: now), engine


def day(number: int) -> datetime:
    """When that day of production begins."""
    return FIRST + number * DAY


def serve(
    made: Made,
    records: SqlRecords,
    number: int,
    rows: int = 400,
    *,
    turned: bool = False,
    heavy: bool = False,
    labelled: float = 1.0,
    version: int = 1,
) -> None:
    """One day of answers, and the truths that came in the day after it.

    turned: what was kept is returned and the other way round, at the same inputs. heavy: the parcels weigh more, and
    are returned as parcels of their weight always were. labelled: the share whose truth comes.
    """
    _, frame = data_sets.binary(4 * rows, seed=1000 + number)
    if heavy:
        frame = frame.sort_values("weight", ascending=False)
    frame = frame.head(rows).reset_index(drop=True)
    scores = scoring.answer(made.contract, made.estimator, frame)
    assert scores.labels is not None
    predictions, labels, rng = [], [], np.random.default_rng(number)
    for i, (row, score, answer) in enumerate(zip(frame.to_dict("records"), scores.scores, scores.labels, strict=True)):
        time = day(number) + DAY * i / rows
        name = f"{number}-{i}"
        predictions.append(Prediction(name, version, time, features(made, row), float(score), answer))
        truth = str(row[made.contract.label])
        if turned:
            truth = "kept" if truth == "returned" else "returned"
        if rng.random() < labelled:
            labels.append(Label(truth, time + DAY, id=name))
    assert records.add(made.spec.name, predictions).outcomes == {"new": rows}
    assert sum(records.label(made.spec.name, labels).outcomes.values()) == len(labels)


def features(made: Made, row: Mapping[Any, Any]) -> dict[str, Value]:
    """The features of a row, as a predictor hands them on."""
    return {f.name: None if pd.isna(row[f.name]) else row[f.name] for f in made.contract.fields}


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
