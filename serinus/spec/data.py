"""The rows: where they are, what they mean, what they must satisfy."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from serinus.durations import PositiveDuration
from serinus.spec.parts import Column, Fraction, Part, Reference


class Files(Part):
    """Rows in Parquet or CSV files."""

    uri: str
    """A file, a folder or a glob; a path relative to the ModelLoop file, or any fsspec URI (s3://, gs://, ...)."""
    format: Literal["auto", "parquet", "csv"] = "auto"
    """How to read them; `auto` goes by each file's ending."""


class Sql(Part):
    """Rows of a query."""

    url: str
    """A SQLAlchemy URL. `${NAME}` is replaced from the environment, so that no password stands in the file."""
    query: str
    """A SELECT; `:start` and `:end`, where it names them, are bound to the window's ends."""


class Production(Part):
    """Predictions that were answered and labelled since, as the collector keeps them."""


class Source(Part):
    """Where the rows come from: exactly one of these."""

    files: Files | None = None
    """Parquet or CSV files."""
    sql: Sql | None = None
    """A SQL query."""
    python: Reference | None = None
    """Your own function, `package.module:function`, that takes a Window and returns a pandas DataFrame."""
    production: Production | None = None
    """What this loop itself answered, with the labels that came; needs `collect`. `{}` is all there is to say."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Source:
        given = [name for name in ("files", "sql", "python", "production") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of files, sql, python, production; got {', '.join(given) or 'none'}"
            )
        return self


class Features(Part):
    """The columns that the model sees."""

    numeric: tuple[Column, ...] = ()
    """Columns used as numbers."""
    categorical: tuple[Column, ...] = ()
    """Columns used as categories."""

    @model_validator(mode="after")
    def _distinct(self) -> Features:
        names = [*self.numeric, *self.categorical]
        if not names:
            raise ValueError("expected at least one numeric or categorical feature, got none")
        doubled = sorted({n for n in names if names.count(n) > 1})
        if doubled:
            raise ValueError(f"expected each feature once, got {', '.join(doubled)} more than once")
        return self


class Checks(Part):
    """What the rows must satisfy before a model may learn from them."""

    min_rows: Annotated[int, Field(ge=1)] = 1000
    """The fewest rows in the window."""
    max_null_fraction: Fraction = 0.2
    """The largest share of nulls in a feature."""
    max_age: PositiveDuration | None = None
    """How old the newest row may be at the start of the run; unset means any age."""
    ranges: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Column -> [lowest, highest] value that is allowed."""
    max_unseen_fraction: Fraction = 0.05
    """The largest share of rows whose category the champion has never seen."""
    max_duplicate_fraction: Fraction = 0.5
    """The largest share of rows that are an exact copy of another row."""
    min_class_fraction: Fraction = 0.01
    """The smallest share that each class of the label must have."""

    @model_validator(mode="after")
    def _ordered(self) -> Checks:
        for name, (lowest, highest) in self.ranges.items():
            if lowest > highest:
                raise ValueError(f"ranges.{name}: expected [lowest, highest], got [{lowest:g}, {highest:g}]")
        return self


class Data(Part):
    """The rows: where they are, what they mean, which of them count."""

    source: Source
    """Where the rows come from."""
    time: Column
    """The column that orders the rows; splits are by time, never shuffled."""
    label: Column
    """The column to predict."""
    positive: str | int | bool | None = None
    """Binary classification: the label value whose probability is the score. Default: the larger of the two."""
    features: Features
    """The columns that the model sees."""
    history: PositiveDuration = timedelta(days=60)
    """How far back from the newest row the window reaches."""
    holdout: PositiveDuration = timedelta(days=7)
    """The newest part of the window, kept out of training to judge the model."""
    checks: Checks = Checks()
    """What the rows must satisfy."""
