"""ModelLoop, the one file: the same YAML for `serinus up` on a laptop and `kubectl apply` on a cluster.

Every field has its default and its one-line description here; the JSON schema, the CRD and the reference page are
generated from this file. `serinus.loading` turns text into these models and mistakes into sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal

from croniter import croniter
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from serinus import durations
from serinus.durations import Duration, PositiveDuration

Task = Literal["binary-classification", "multiclass-classification", "regression"]
Estimator = Literal["logistic-regression", "hist-gradient-boosting", "random-forest"]
Metric = Literal[
    "roc_auc", "average_precision", "log_loss", "brier", "accuracy", "balanced_accuracy", "f1", "rmse", "mae", "r2"
]
Fraction = Annotated[float, Field(ge=0, le=1)]
NAME = r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"
REFERENCE = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"
Reference = Annotated[str, Field(pattern=REFERENCE)]  # package.module:function
Column = Annotated[str, Field(min_length=1)]

METRICS_OF: dict[Task, tuple[Metric, ...]] = {
    "binary-classification": (
        "roc_auc", "average_precision", "log_loss", "brier", "accuracy", "balanced_accuracy", "f1",
    ),
    "multiclass-classification": ("roc_auc", "log_loss", "accuracy", "balanced_accuracy", "f1"),
    "regression": ("rmse", "mae", "r2"),
}  # fmt: skip


class _Part(BaseModel):
    """A part of the file: camelCase keys, no unknown ones, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_attribute_docstrings=True,
        allow_inf_nan=False,
    )  # fmt: skip


class Files(_Part):
    """Rows in Parquet or CSV files."""

    uri: str
    """A file, a folder or a glob; a path relative to the ModelLoop file, or any fsspec URI (s3://, gs://, ...)."""
    format: Literal["auto", "parquet", "csv"] = "auto"
    """How to read them; `auto` goes by each file's ending."""


class Sql(_Part):
    """Rows of a query."""

    url: str
    """A SQLAlchemy URL. `${NAME}` is replaced from the environment, so that no password stands in the file."""
    query: str
    """A SELECT; `:start` and `:end`, where it names them, are bound to the window's ends."""


class Source(_Part):
    """Where the rows come from: exactly one of these."""

    files: Files | None = None
    """Parquet or CSV files."""
    sql: Sql | None = None
    """A SQL query."""
    python: Reference | None = None
    """Your own function, `package.module:function`, that takes a Window and returns a pandas DataFrame."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Source:
        given = [name for name in ("files", "sql", "python") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of files, sql, python; got {', '.join(given) or 'none'}")
        return self


class Features(_Part):
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


class Checks(_Part):
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


class Data(_Part):
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


class Training(_Part):
    """How a model is made."""

    estimator: Estimator | None = None
    """One of the built-in estimators."""
    python: Reference | None = None
    """Your own `fit(X, y, params)` that returns a fitted scikit-learn estimator."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the estimator, or of your function."""
    trust: tuple[str, ...] = ()
    """Your own estimator types that may be loaded from a model file, as `package.module.Type`."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of everything random in training."""
    schedule: str | None = None
    """A cron expression (UTC) for regular retraining."""
    deadline: PositiveDuration = timedelta(hours=1)
    """A run that takes longer is ended and counts as failed."""
    image: str | None = None
    """Cluster only: an image derived from ours that holds your own code."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Training:
        if (self.estimator is None) == (self.python is None):
            got = "none" if self.python is None else "both"
            raise ValueError(f"expected exactly one of estimator, python; got {got}")
        return self

    @field_validator("schedule")
    @classmethod
    def _cron(cls, schedule: str | None) -> str | None:
        if schedule is not None and not croniter.is_valid(schedule):
            raise ValueError(f"expected a cron expression such as '0 4 * * 1', got {schedule!r}")
        return schedule


class Validation(_Part):
    """When a candidate is good enough to be let near users."""

    metric: Metric
    """The figure that decides; others are reported beside it."""
    minimum: float | None = None
    """An absolute bound: at least this (at most, for log_loss, brier, rmse, mae). Unset: only the comparisons count."""
    margin: Annotated[float, Field(ge=0)] = 0.005
    """How much worse than the champion still counts as not worse."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Of the paired interval of the difference to the champion."""
    slices: tuple[str, ...] = ()
    """Columns by whose values the figures are also given, and held to `sliceMargin`."""
    slice_margin: Annotated[float, Field(ge=0)] = 0.05
    """How much worse than the champion a slice may be."""
    min_slice_rows: Annotated[int, Field(ge=1)] = 200
    """Smaller slices are reported but do not decide."""


class Serving(_Part):
    """How the model answers."""

    min_replicas: Annotated[int, Field(ge=0)] = 1
    """Cluster only: the fewest pods of a version."""
    max_replicas: Annotated[int, Field(ge=1)] = 1
    """Cluster only: the most pods of a version."""
    resources: dict[Literal["requests", "limits"], dict[str, str]] = Field(default_factory=dict)
    """Cluster only: Kubernetes resource requests and limits of a pod."""
    unseen_categories: Literal["reject", "accept"] = "reject"
    """What a category that training never saw gets: a 400 that names the field, or an answer."""
    timeout: PositiveDuration = timedelta(seconds=10)
    """How long a caller waits for an answer at most."""

    @model_validator(mode="after")
    def _possible(self) -> Serving:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"maxReplicas: expected at least minReplicas, which is {self.min_replicas}, got {self.max_replicas}"
            )
        return self


class Errors(_Part):
    """Answers that failed through our own fault (5xx)."""

    margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """How much larger the canary's share may be."""


class Rejections(_Part):
    """Requests that the model's contract refused (4xx): a canary must not refuse what stable answers."""

    margin: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """How much larger the canary's share may be."""


class Latency(_Part):
    """Answers slower than a threshold."""

    threshold: PositiveDuration = timedelta(milliseconds=250)
    """What counts as slow."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """How much larger the canary's share of slow answers may be."""


class Guardrails(_Part):
    """What a canary must not be worse at; null switches one off."""

    errors: Errors | None = Errors()
    """Failed answers."""
    rejections: Rejections | None = Rejections()
    """Refused requests."""
    latency: Latency | None = Latency()
    """Slow answers."""


class RolloutSpec(_Part):
    """How a new version takes over, and what throws it back."""

    steps: tuple[Annotated[int, Field(ge=1, le=99)], ...] = (5, 25, 50)
    """The canary's share of traffic, in percent, rising; after the last one it gets everything."""
    min_requests: Annotated[int, Field(ge=1)] = 200
    """A step's smallest exposure of the canary, in answers."""
    step_timeout: PositiveDuration = timedelta(minutes=10)
    """How long a step may take to convince."""
    on_timeout: Literal["rollback", "hold"] = "rollback"
    """What happens when it did not."""
    guardrails: Guardrails = Guardrails()
    """What the canary must not be worse at."""
    false_rollback_rate: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """The chance that a canary no worse than allowed is thrown back, over the whole rollout."""
    false_promotion_rate: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """The chance that a canary worse by a guardrail's margin or more is promoted."""
    watch: Duration = timedelta(minutes=10)
    """After a promotion, how long a broken guardrail still brings the last champion back."""

    @model_validator(mode="after")
    def _rising(self) -> RolloutSpec:
        if not self.steps or any(b <= a for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError(f"steps: expected rising percents such as [5, 25, 50], got {list(self.steps)}")
        return self


class Retrain(_Part):
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


class DriftSpec(_Part):
    """When live inputs or scores no longer look like training."""

    every: PositiveDuration = timedelta(hours=1)
    """How often the job looks."""
    window: PositiveDuration = timedelta(days=1)
    """How much of the past a look covers."""
    min_rows: Annotated[int, Field(ge=1)] = 600
    """With fewer rows in the window nothing is decided."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Significance of a window's chi-squared tests together (Bonferroni over features and score)."""
    psi: Annotated[float, Field(gt=0)] = 0.1
    """The population stability index from which a significant change is also large enough."""
    retrain: Retrain = Retrain()
    """How many windows ask for a new model."""
    cooldown: Duration = timedelta(hours=6)
    """From the end of the last run, how long drift asks for no other."""
    detector: Literal["alibi-detect", "scipy"] = "alibi-detect"
    """The engine of the test; both give the same p-values. alibi-detect's licence limits production use: see docs."""


class LoopSpec(_Part):
    """What the loop should be."""

    task: Task
    """What kind of answer the model gives."""
    data: Data
    """The rows."""
    training: Training
    """How a model is made."""
    validation: Validation
    """When a candidate is good enough."""
    approval: Literal["automatic", "required"] = "automatic"
    """Whether a person lets a validated version in."""
    serving: Serving = Serving()
    """How the model answers."""
    rollout: RolloutSpec = RolloutSpec()
    """How a new version takes over."""
    drift: DriftSpec | None = DriftSpec()
    """When a changed world asks for a retrain; null switches the job off."""

    @model_validator(mode="after")
    def _consistent(self) -> LoopSpec:
        problems = list(_contradictions(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _contradictions(spec: LoopSpec) -> Iterator[str]:
    """One sentence for each thing that is fine by itself and not beside the others."""
    data, allowed = spec.data, METRICS_OF[spec.task]
    if spec.validation.metric not in allowed:
        yield f"validation.metric: expected one of {', '.join(allowed)} for {spec.task}, got {spec.validation.metric!r}"
    if data.positive is not None and spec.task != "binary-classification":
        yield f"data.positive: expected nothing for {spec.task}, got {data.positive!r}; only two classes have one"
    if data.time == data.label:
        yield f"data.label: expected another column than data.time, got {data.label!r} for both"
    for role, column in (("label", data.label), ("time", data.time)):
        if column in (*data.features.numeric, *data.features.categorical):
            yield f"data.features: expected what is known when a model is asked, got the {role} {column!r}; take it out"
    if data.holdout >= data.history:
        got = f"{durations.render(data.holdout)} of {durations.render(data.history)}"
        yield f"data.holdout: expected less than data.history, got {got}; nothing would be left to train on"


class Metadata(_Part):
    """The loop's name and Kubernetes' own bookkeeping."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: Annotated[str, Field(pattern=NAME)]
    """The loop's name: lower case letters, digits and dashes, at most 40 characters."""


class ModelLoop(_Part):
    """One model's loop: data, training, validation, rollout, drift."""

    api_version: Literal["serinus.dev/v1alpha1"] = "serinus.dev/v1alpha1"
    """The version of this format."""
    kind: Literal["ModelLoop"] = "ModelLoop"
    """Always ModelLoop."""
    metadata: Metadata
    """The loop's name."""
    spec: LoopSpec
    """What the loop should be."""

    @property
    def name(self) -> str:
        """The loop's name, which is also its model's name in registry, routes and metrics."""
        return self.metadata.name
