"""When the world has changed so far that a new model is due."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from serinus.durations import Duration, PositiveDuration
from serinus.spec.budget import Budget
from serinus.spec.parts import Part


class Retrain(Part):
    """When drifted windows ask for a new model."""

    violations: Annotated[int, Field(ge=1)] = 2
    """So many windows in violation, the latest among them,"""
    of: Annotated[int, Field(ge=1, le=100)] = 5
    """of so many latest ones."""

    @model_validator(mode="after")
    def _possible(self) -> Retrain:
        if self.violations > self.of:
            raise ValueError(f"violations: expected at most `of`, which is {self.of}, got {self.violations}")
        return self


class Confirm(Part):
    """A second look, on rows instead of bins, before a retrain is paid for; needs `collect`."""

    detector: Literal["none", "mmd", "classifier", "tabular"] = "none"
    """mmd: kernel two-sample test; classifier: whether one can be trained to tell the rows apart; tabular: a test per
    feature. All of alibi-detect, whose licence limits production use: see docs."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Significance that confirms."""
    rows: Annotated[int, Field(ge=100, le=5000)] = 1000
    """The most rows on either side."""


class DriftSpec(Part):
    """When live inputs or scores no longer look like training."""

    enabled: bool = True
    """false switches the job off, as null in place of all of this does where it can be written."""
    every: PositiveDuration = timedelta(hours=1)
    """How often the job looks."""
    window: PositiveDuration = timedelta(days=1)
    """How much of the past a look covers."""
    min_rows: Annotated[int, Field(ge=1)] = 600
    """With fewer rows in the window nothing is decided."""
    false_alarms: Budget = "1 per 90d"
    """How many retrains per time may be asked for although nothing has changed, on average at most."""
    psi: Annotated[float, Field(gt=0)] = 0.1
    """The population stability index from which a significant change of a distribution is also large enough."""
    shift: Annotated[float, Field(gt=0, le=10)] = 0.2
    """The shift of a numeric feature or of the score, in standard deviations, from which it is large enough."""
    missing: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """The rise of the share of missing values, or of values that training never saw, from which it is large enough."""
    reference: Literal["training", "sameHourLastWeek", "rolling"] = "training"
    """What a window is held against: the training rows, the same hours a week before, or the windows before it. The
    latter two need a champion that served then, and forget what has been so for longer."""
    labels: bool = False
    """true: the labels that came in a window are compared with the holdout's, too. It needs `collect`, classes, and
    labels of all of them: where only one class is ever told, it would always be found in violation."""
    clumps: Literal["measured", "ignored"] = "measured"
    """Whether rows that are alike (of one client, one hour) count for fewer, by how alike they are seen to be."""
    retrain: Retrain = Retrain()
    """How many windows ask for a new model."""
    cooldown: Duration = timedelta(hours=6)
    """From the end of the last run, how long drift asks for no other."""
    detector: Literal["alibi-detect", "scipy"] = "alibi-detect"
    """The engine of the test; both give the same p-values. alibi-detect's licence limits production use: see docs."""
    confirm: Confirm = Confirm()
    """A second look before a retrain."""
