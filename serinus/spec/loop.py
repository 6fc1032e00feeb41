"""The file as a whole, and what must hold between its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from serinus import durations
from serinus.spec.collect import Collect, Labels
from serinus.spec.data import Data
from serinus.spec.drift import DriftSpec
from serinus.spec.model import Serving, Training, Validation
from serinus.spec.parts import JUDGED, METRICS_OF, Part, Task
from serinus.spec.quality import BusinessValue, NewData, QualitySpec
from serinus.spec.rollout import RolloutSpec

NAME = r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"


class LoopSpec(Part):
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
    collect: Collect | None = None
    """Which predictions are kept. Unset: none, and nothing is known of quality in production."""
    labels: Labels = Labels()
    """When and from where the truth comes."""
    quality: QualitySpec | None = None
    """When falling quality in production asks for a retrain; needs `collect`. Unset: never."""
    new_data: NewData | None = None
    """When new data asks for a retrain. Unset: never."""
    value: BusinessValue | None = None
    """What answers are worth, reported over time by version."""

    @field_validator("drift")
    @classmethod
    def _off(cls, drift: DriftSpec | None) -> DriftSpec | None:
        return drift if drift is not None and drift.enabled else None

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
    yield from _uncollected(spec)
    if spec.validation.fairness is not None and spec.task != "binary-classification":
        yield f"validation.fairness: expected nothing for {spec.task}; its rates are of two classes"
    yield from _unheard(spec)
    if spec.task == "regression" and spec.drift is not None and spec.drift.labels:
        yield "drift.labels: expected false for regression; of classes alone labels are counted by value"
    if spec.quality is not None and spec.quality.metric is not None and spec.quality.metric not in JUDGED[spec.task]:
        wanted = ", ".join(JUDGED[spec.task])
        yield f"quality.metric: expected one of {wanted} for {spec.task}, got {spec.quality.metric!r}"
    if data.holdout >= data.history:
        got = f"{durations.render(data.holdout)} of {durations.render(data.history)}"
        yield f"data.holdout: expected less than data.history, got {got}; nothing would be left to train on"


def _unheard(spec: LoopSpec) -> Iterator[str]:
    """What keeps the guardrail `quality` from ever being of use."""
    if spec.rollout.guardrails.quality is None:
        return
    if spec.task == "regression":
        yield "rollout.guardrails.quality: expected nothing for regression; only a class is right or wrong"
    delay, timeout = spec.labels.delay, spec.rollout.step_timeout
    if 2 * delay >= timeout:
        got = f"{durations.render(delay)} of {durations.render(timeout)}"
        yield (
            f"labels.delay: expected less than half of rollout.stepTimeout for rollout.guardrails.quality, got {got};"
            " labels would come too late to judge a step by"
        )


def _uncollected(spec: LoopSpec) -> Iterator[str]:
    """What needs predictions that nobody keeps."""
    if spec.collect is not None:
        return
    for name, asked in (
        ("quality", spec.quality is not None),
        ("labels.source", spec.labels.source is not None),
        ("data.source.production", spec.data.source.production is not None),
        ("drift.confirm", spec.drift is not None and spec.drift.confirm.detector != "none"),
        ("drift.labels", spec.drift is not None and spec.drift.labels),
        ("rollout.guardrails.quality", spec.rollout.guardrails.quality is not None),
    ):
        if asked:
            yield f"{name}: expected `collect` beside it, got none; without it no prediction is kept"


class Metadata(Part):
    """The loop's name and Kubernetes' own bookkeeping."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: Annotated[str, Field(pattern=NAME)]
    """The loop's name: lower case letters, digits and dashes, at most 40 characters."""


class ModelLoop(Part):
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

    def for_run(self) -> str:
        """The loop as JSON for the steps of a run: what differs from the defaults.

        A user's own image may be older than what asks for the run, and would refuse a key that it does not know.
        """
        return self.model_dump_json(by_alias=True, exclude_defaults=True)
