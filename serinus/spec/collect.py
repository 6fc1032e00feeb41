"""What is kept of production: predictions, and the labels that come for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, model_validator

from serinus.durations import Duration, PositiveDuration
from serinus.spec.data import Files, Sql
from serinus.spec.parts import Column, Part, Reference


class Collect(Part):
    """Which predictions are kept, for how long."""

    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of answered rows that is kept; which ones goes by their id, so that a repeated one is kept again."""
    columns: tuple[Column, ...] | None = None
    """The features that are kept. Unset: all of them."""
    hash: tuple[Column, ...] = ()
    """Features that are kept as a keyed hash only: equal values stay equal, and nobody reads them."""
    key: Column | None = None
    """A business key that callers may send with each row, beside the features; labels can name it."""
    retention: PositiveDuration = timedelta(days=90)
    """How long predictions and labels are kept."""


class LabelSource(Part):
    """Where labels are pulled from: exactly one of files, sql, python."""

    files: Files | None = None
    """Parquet or CSV files."""
    sql: Sql | None = None
    """A SQL query; `:start` and `:end`, where it names them, are bound to the window of time that is asked for."""
    python: Reference | None = None
    """Your own function, `package.module:function`, that takes a Window and returns a pandas DataFrame."""
    id: Column | None = None
    """The column with the prediction's id; or"""
    key: Column | None = None
    """the column with the business key."""
    value: Column
    """The column with the truth."""
    time: Column | None = None
    """The column that says when the truth became known. Unset: when it was pulled."""

    @model_validator(mode="after")
    def _exactly_one(self) -> LabelSource:
        for names in (("files", "sql", "python"), ("id", "key")):
            given = [name for name in names if getattr(self, name) is not None]
            if len(given) != 1:
                raise ValueError(f"expected exactly one of {', '.join(names)}; got {', '.join(given) or 'none'}")
        return self


class Labels(Part):
    """When and from where the truth comes."""

    delay: Duration = timedelta(days=1)
    """How long after a prediction its label usually is there: a window is judged once its end is so long ago."""
    source: LabelSource | None = None
    """Where they are pulled from. Unset: they are posted, or added by `serinus labels add`."""
    every: PositiveDuration = timedelta(hours=1)
    """How often they are pulled."""
