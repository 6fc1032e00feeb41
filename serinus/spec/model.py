"""How a model is made, when it is good enough, how it answers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from croniter import croniter
from pydantic import Field, field_validator, model_validator

from serinus.durations import PositiveDuration
from serinus.spec import quantities
from serinus.spec.parts import Column, Metric, Part, Reference

Estimator = Literal["logistic-regression", "hist-gradient-boosting", "random-forest"]


class SecretKey(Part):
    """Where a value is kept: a key of a Secret, in the namespace that the run's pods are in."""

    secret: Annotated[str, Field(min_length=1)]
    """The Secret's name."""
    key: str = ""
    """The key in it. Empty: the variable's own name."""


class Training(Part):
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
    """Cluster only: an image derived from our pipeline's that holds your own code."""
    resources: dict[Literal["requests", "limits"], dict[str, str]] = Field(default_factory=dict)
    """Cluster only: Kubernetes resource requests and limits of a step's pod: cpu, memory, one kind of accelerator."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Cluster only: labels of the nodes that may run the steps."""
    secrets: dict[str, SecretKey] = Field(default_factory=dict)
    """Cluster only: variables of the steps from Secrets, as NAME: {secret, key}, for `${NAME}` in a source."""
    service_account: str | None = None
    """Cluster only: the service account that a run's pods have. Unset: Kubeflow Pipelines' own."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Training:
        if (self.estimator is None) == (self.python is None):
            got = "none" if self.python is None else "both"
            raise ValueError(f"expected exactly one of estimator, python; got {got}")
        return self

    @field_validator("resources")
    @classmethod
    def _expressible(cls, resources: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        quantities.check(resources)
        return resources

    @field_validator("secrets")
    @classmethod
    def _variables(cls, secrets: dict[str, SecretKey]) -> dict[str, SecretKey]:
        for name in secrets:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"expected names of environment variables such as DB_PASSWORD, got {name!r}")
        return secrets

    @field_validator("schedule")
    @classmethod
    def _cron(cls, schedule: str | None) -> str | None:
        if schedule is not None and not croniter.is_valid(schedule):
            raise ValueError(f"expected a cron expression such as '0 4 * * 1', got {schedule!r}")
        return schedule


class Fairness(Part):
    """How differently groups may be treated, on the holdout and over time; binary classification."""

    groups: Annotated[tuple[Column, ...], Field(min_length=1, max_length=20)]
    """Columns whose values are the groups."""
    metric: Literal["equalOpportunity", "demographicParity", "equalizedOdds"] = "equalOpportunity"
    """What is compared: the true positive rate, the share of positive answers, or both true and false positive rate."""
    max_gap: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The largest difference between two groups."""
    min_rows: Annotated[int, Field(ge=1)] = 100
    """Groups of which the rate is made of fewer rows are reported but do not decide."""


class Validation(Part):
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
    fairness: Fairness | None = None
    """How differently groups may be treated. Unset: not looked at."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are looked at by their values, features or not: slices and groups, each once."""
        return tuple(dict.fromkeys((*self.slices, *(self.fairness.groups if self.fairness is not None else ()))))


class Serving(Part):
    """How the model answers."""

    min_replicas: Annotated[int, Field(ge=0)] = 1
    """Cluster only: the fewest pods of a version."""
    max_replicas: Annotated[int, Field(ge=1)] = 1
    """Cluster only: the most pods of a version."""
    resources: dict[Literal["requests", "limits"], dict[str, str]] = Field(default_factory=dict)
    """Cluster only: Kubernetes resource requests and limits of a pod."""
    image: str | None = None
    """Cluster only: an image derived from our predictor's that holds the types which `training.trust` names."""
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
