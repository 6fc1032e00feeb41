"""The truth of the replayed flights, a day late, and what it says of each version: through the loop's own collector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from serinus.facts import Cell, Label, Tally, TallyQuestion
from serinus.ports import Records
from serinus.spec import ModelLoop
from serinus.stats import quality
from services.demo.record import Judged

EVERY = 12.0  # seconds of the demo that are judged together: some ten replayed days
_FEWEST = 100  # rows that say anything


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
    start = (tally.window.start - began).total_seconds()
    return Judged(
        start, start + EVERY, tally.version, measured.value, measured.low, measured.high, tally.rows, tally.labelled,
        worth(spec, tally.cells),
    )  # fmt: skip


def positive(spec: ModelLoop) -> str:
    """The class that the demo's scores are the probability of."""
    return str(spec.spec.data.positive) if spec.spec.data.positive is not None else "1"


def worth(spec: ModelLoop, cells: Sequence[Cell]) -> float:
    """What the labelled rows of these cells were worth in all, by `spec.value`; NaN without one, or without rows."""
    value = spec.spec.value
    found = quality.worth(cells, value.worth) if value is not None else None
    return found.value * found.rows if found is not None else math.nan
