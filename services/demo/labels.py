"""The truth of the replayed flights, a day late, and what it says of each version: through the loop's own collector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd

from serinus.facts import Label, Tally, TallyQuestion
from serinus.ports import Records
from serinus.spec import ModelLoop
from serinus.stats import quality
from services.demo.record import Judged

EVERY = 12.0  # seconds of the demo that are judged together: some ten replayed days


def of(day: pd.DataFrame, at: datetime) -> list[Label]:
    """The labels of a day's flights, known at `at`."""
    return [
        Label(truth=str(late), at=at, key=str(flight))
        for flight, late in zip(day["flight_id"].tolist(), day["late"].tolist(), strict=True)
    ]


def judged(records: Records, spec: ModelLoop, began: datetime, ended: datetime) -> tuple[Judged, ...]:
    """How good each version was from the first request on, by windows of `EVERY` seconds, as far as labels came."""
    question = TallyQuestion(began, ended + timedelta(seconds=EVERY), EVERY)
    tallies = records.tally(spec.name, question)
    return tuple(one for tally in tallies if (one := _judged(tally, spec, began)) is not None)


def _judged(tally: Tally, spec: ModelLoop, began: datetime) -> Judged | None:
    """None while the figure is not defined, and of a handful of rows."""
    measured = quality.measured("roc_auc", tally, positive(spec))
    if measured is None or not math.isfinite(measured.error) or measured.rows < _FEWEST:
        return None
    value = spec.spec.value
    worth = quality.worth(tally.cells, value.worth) if value is not None else None
    start = (tally.window.start - began).total_seconds()
    return Judged(
        start, start + EVERY, tally.version, measured.value, measured.low, measured.high, tally.rows, tally.labelled,
        worth.value * worth.rows if worth is not None else math.nan,
    )  # fmt: skip


_FEWEST = 100  # rows


def positive(spec: ModelLoop) -> str:
    """The class that the demo's scores are the probability of."""
    return str(spec.spec.data.positive) if spec.spec.data.positive is not None else "1"


def worth(spec: ModelLoop, truth: Sequence[str], answers: Sequence[str]) -> float:
    """What these answers were worth in all, by `spec.value`; NaN without one."""
    if spec.spec.value is None:
        return math.nan
    of_truth = spec.spec.value.worth
    return sum(of_truth.get(t, {}).get(a, 0.0) for t, a in zip(truth, answers, strict=True))


def now() -> datetime:
    """The time at which a label is known."""
    return datetime.now(UTC)
