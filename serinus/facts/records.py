"""What was answered, what turned out to be true, and how both are counted. Whose loop it is, is said beside.

A request of one row is known by its id; row n of a request of several by `{id}/{n}`, from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from serinus.facts.verdicts import Window

BINS = 100
"""Score bins of a tally: bin b holds the scores in [b/BINS, (b+1)/BINS), the last one 1 as well."""
Value = float | str | None


@dataclass(frozen=True)
class Prediction:
    """One answered row."""

    id: str
    version: int
    time: datetime  # when it was answered
    features: Mapping[str, Value]  # those that `collect.columns` names; hashed ones as the predictor handed them on
    score: float  # probability of the positive or the most probable class; the value, of a regression
    answer: str = ""  # the predicted class as text; "" of a regression
    key: str = ""  # the business key that the caller sent, "" without one


@dataclass(frozen=True)
class Label:
    """What turned out to be true of the prediction `id`, or of every prediction with the business key `key`."""

    truth: str | float  # the class as text (a number or a boolean as it is written), the value of a regression
    at: datetime  # when it became known; of two truths the later known one counts
    id: str = ""  # exactly one of id and key
    key: str = ""


LabelOutcome = Literal[
    "joined",  # the prediction is known: it has its truth now
    "waiting",  # no such prediction yet; it is joined when the prediction comes
    "same",  # held already
    "changed",  # another truth than the one held, known later (or at the same time): it counts from now on
    "older",  # another truth than the one held, known earlier: it does not count
    "foreign",  # the id is a prediction of another loop
    "erased",  # the prediction was erased
    "invalid",  # no class or number, neither id nor key, a time in the future
]
PredictionOutcome = Literal["new", "doubled", "erased", "invalid"]


@dataclass(frozen=True)
class Taken:
    """What became of a batch once it is durable: every item is in one outcome, so that they sum to its size."""

    outcomes: Mapping[str, int] = field(default_factory=dict)  # LabelOutcome or PredictionOutcome -> items
    problems: tuple[str, ...] = ()  # sentences about the first few that are invalid, foreign or erased


@dataclass(frozen=True)
class Record:
    """A prediction and what is known of it."""

    prediction: Prediction
    truth: str | float | None = None
    labelled: datetime | None = None  # when the truth became known


@dataclass(frozen=True)
class Cell:
    """Classified rows that agree in truth, answer and score bin; sums of the scores are over these rows."""

    truth: str | None  # None: no label yet
    answer: str
    bin: int  # of BINS; 0 to BINS-1
    rows: int
    score: float  # sum of the scores
    squares: float  # sum of the scores' squares


@dataclass(frozen=True)
class ErrorSums:
    """Labelled rows of a regression; an error is prediction - truth."""

    rows: int = 0
    total: float = 0.0  # sum of errors
    absolute: float = 0.0  # sum of |error|
    squares: float = 0.0  # sum of error²
    fourths: float = 0.0  # sum of error⁴: how sure the squares are


@dataclass(frozen=True)
class Tally:
    """What one version answered in a window of prediction time, and what is known of it by now."""

    version: int
    window: Window
    rows: int  # collected, labelled or not
    labelled: int
    cells: tuple[Cell, ...] = ()  # classification
    errors: ErrorSums | None = None  # regression
    column: str = ""  # of a slice: rows whose feature `column` is `value`
    value: str = ""


@dataclass(frozen=True)
class TallyQuestion:
    """The windows [start, start+every), ... before `end` of one version (None: of all), each also by `columns`."""

    start: datetime
    end: datetime
    every: float  # seconds
    version: int | None = None
    columns: tuple[str, ...] = ()
    regression: bool = False


@dataclass(frozen=True)
class RowsQuestion:
    """At most `limit` records of a window, a sample drawn by `seed` when there are more."""

    window: Window
    version: int | None = None
    labelled: bool = False  # only those whose truth is known
    limit: int = 10_000
    seed: int = 0
