"""ModelLoop, the one file: the same YAML for `serinus up` on a laptop and `kubectl apply` on a cluster.

Every field has its default and its one-line description here; the JSON schema, the CRD and the reference page are
generated from this file. `serinus.loading` turns text into these models and mistakes into sentences.
"""

from __future__ import annotations

from serinus.spec.collect import Collect, Labels, LabelSource
from serinus.spec.data import Checks, Data, Features, Files, Production, Source, Sql
from serinus.spec.drift import Confirm, DriftSpec, Retrain
from serinus.spec.loop import NAME, LoopSpec, Metadata, ModelLoop
from serinus.spec.model import Estimator, Fairness, Serving, Training, Validation
from serinus.spec.parts import JUDGED, METRICS_OF, REFERENCE, Column, Fraction, Metric, Reference, Task
from serinus.spec.quality import BusinessValue, NewData, QualitySpec
from serinus.spec.ratios import Ratio
from serinus.spec.rollout import (
    BLUE_GREEN,
    Errors,
    Guardrails,
    Latency,
    Rejections,
    RolloutSpec,
    Scores,
    Slowdown,
    Wrong,
)
from serinus.spec.strategies import Experiment, Shadow, Strategy

__all__ = [
    "BLUE_GREEN",
    "JUDGED",
    "METRICS_OF",
    "NAME",
    "REFERENCE",
    "BusinessValue",
    "Checks",
    "Collect",
    "Column",
    "Confirm",
    "Data",
    "DriftSpec",
    "Errors",
    "Estimator",
    "Experiment",
    "Fairness",
    "Features",
    "Files",
    "Fraction",
    "Guardrails",
    "LabelSource",
    "Labels",
    "Latency",
    "LoopSpec",
    "Metadata",
    "Metric",
    "ModelLoop",
    "NewData",
    "Production",
    "QualitySpec",
    "Ratio",
    "Reference",
    "Rejections",
    "Retrain",
    "RolloutSpec",
    "Scores",
    "Serving",
    "Shadow",
    "Slowdown",
    "Source",
    "Sql",
    "Strategy",
    "Task",
    "Training",
    "Validation",
    "Wrong",
]
