"""When production shows, by labels that came, that a new model is due; and what an answer is worth."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, model_validator

from serinus.durations import Duration, PositiveDuration
from serinus.spec.budget import Budget
from serinus.spec.parts import Column, Fraction, Metric, Part


class QualitySpec(Part):
    """Windows of prediction time, judged against the champion's holdout once their labels are there."""

    metric: Metric | None = None
    """The figure that is judged: accuracy, roc_auc, brier, log_loss, or rmse, mae. Unset: `validation.metric` where it
    is one of these, else accuracy or rmse."""
    margin: Annotated[float, Field(ge=0)] = 0.02
    """How much worse than on its holdout a version may be in production."""
    window: PositiveDuration = timedelta(days=1)
    """How much prediction time is judged together."""
    every: PositiveDuration = timedelta(hours=1)
    """How often the job looks."""
    min_labelled: Annotated[int, Field(ge=30)] = 200
    """With fewer labelled rows a window is not judged."""
    min_share: Fraction = 0.5
    """With a smaller share of labelled rows a window is not judged: those that came may not be like the others."""
    false_alarms: Budget = "1 per 365d"
    """How many retrains per time a version that is as good as allowed may be sent into, on average at most."""
    slices: tuple[Column, ...] = ()
    """Features by whose values the figures are also given."""
    cooldown: Duration = timedelta(hours=6)
    """From the end of the last run, how long falling quality asks for no other."""


class NewData(Part):
    """A retrain because much more is known now than the champion learned from: exactly one of rows, share."""

    rows: Annotated[int, Field(ge=1)] | None = None
    """So many labelled rows newer than the champion's dataset."""
    share: Annotated[float, Field(gt=0)] | None = None
    """So many, as a share of the rows of the champion's dataset."""
    every: PositiveDuration = timedelta(hours=6)
    """How often the rows are counted."""
    cooldown: Duration = timedelta(hours=6)
    """From the end of the last run, how long new data asks for no other."""

    @model_validator(mode="after")
    def _exactly_one(self) -> NewData:
        given = [name for name in ("rows", "share") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of rows, share; got {', '.join(given) or 'none'}")
        return self


class BusinessValue(Part):
    """What answers are worth to the business."""

    unit: str = ""
    """What the worth is counted in, such as EUR."""
    worth: dict[str, dict[str, float]]
    """Truth -> answer -> worth of one such answer; what is not named is worth 0."""
