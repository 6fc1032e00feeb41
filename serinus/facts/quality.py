"""How good a version is on rows whose truth is known: on its holdout, and in production by windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from serinus.facts.drift import Stretches
from serinus.facts.models import FairnessGap
from serinus.facts.records import Cell, Value
from serinus.facts.verdicts import Verdict, Window


@dataclass(frozen=True)
class Measured:
    """A figure with how sure it is. `error` is its standard error, [low, high] its interval at 95 %."""

    value: float
    error: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class Condition:
    """What rows of a region have in common in one feature (or in `score`): a stretch of numbers, or categories."""

    name: str
    low: float | None = None  # excluded
    high: float | None = None  # included
    categories: tuple[str, ...] = ()
    missing: bool = False  # whether null is in it


@dataclass(frozen=True)
class Region:
    """Holdout rows for which all conditions hold, and the loss the model has on them."""

    conditions: tuple[Condition, ...]
    rows: int
    loss: float  # mean: squared error of the score (Brier), or of the value
    square: float  # mean of the squared loss: how sure it is


@dataclass(frozen=True)
class Importance:
    """How much a model goes by one feature: what shuffling it over the holdout's rows costs."""

    name: str
    drop: float  # of the judged metric, mean over the repeats; positive: worse without the feature
    error: float  # standard deviation of the drop over the repeats
    moved: float  # mean absolute change of the score; 0: the model does not use the feature


@dataclass(frozen=True)
class Reference:
    """What the holdout said of a version: `reference.json` beside the model, for whoever judges it in production."""

    rows: int
    metrics: Mapping[str, Measured]
    cells: tuple[Cell, ...]  # the holdout counted as production is; empty for a regression
    regions: tuple[Region, ...]
    sample: Mapping[str, tuple[Value, ...]]  # column -> values of some training rows, for a second look at drift
    importance: tuple[Importance, ...] = ()  # of each feature; empty: made before it was measured
    stretches: Stretches | None = None  # None: training had too few of them, or it was made before they were counted


Changed = Literal["concept", "data", "both", "unclear"]


@dataclass(frozen=True)
class Change:
    """Where a loss of quality comes from: the same inputs are answered worse, or the inputs are others."""

    kind: Changed
    concept: float  # share of the rise in loss at unchanged inputs
    data: float  # share that the moved inputs explain
    error: float  # standard error of `concept`
    reason: str  # a sentence


@dataclass(frozen=True)
class QualityWindow:
    """One version in one window of prediction time."""

    window: Window
    rows: int  # collected
    labelled: int
    mature: bool  # whether labels had their time to come
    measured: Measured | None  # the judged metric; None where it is not defined yet
    estimated: Measured | None = None  # accuracy, before labels come
    accuracy: Measured | None = None  # the truth beside it
    worth: float | None = None  # summed over the labelled rows, by `spec.value`


@dataclass(frozen=True)
class QualityFinding:
    """What one look of the quality job found; `fail`: the version is worse than on its holdout by more than allowed."""

    version: int
    metric: str
    window: Window  # the latest mature one, or the latest of all
    verdict: Verdict
    windows: tuple[QualityWindow, ...] = ()  # oldest first, the latest 30
    change: Change | None = None  # once the verdict is `fail`
    since: datetime | None = None  # `fail`: end of the window with which the evidence was enough; asks once
    looked: datetime | None = None  # when the job looked
    fairness: tuple[FairnessGap, ...] = ()  # over all mature windows, where two groups at least are large enough
