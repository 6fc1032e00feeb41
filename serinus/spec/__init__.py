"""ModelLoop, the one file: the same YAML for `serinus up` on a laptop and `kubectl apply` on a cluster.

Every field has its default and its one-line description here; the JSON schema, the CRD and the reference page are
generated from this file. `serinus.loading` turns text into these models and mistakes into sentences.
"""

from __future__ import annotations

from serinus.spec.data import Checks, Data, Features, Files, Source, Sql
from serinus.spec.drift import DriftSpec, Retrain
from serinus.spec.loop import NAME, LoopSpec, Metadata, ModelLoop
from serinus.spec.model import Estimator, Serving, Training, Validation
from serinus.spec.parts import METRICS_OF, REFERENCE, Column, Fraction, Metric, Reference, Task
from serinus.spec.rollout import BLUE_GREEN, Errors, Guardrails, Latency, Rejections, RolloutSpec

__all__ = [
    "BLUE_GREEN",
    "METRICS_OF",
    "NAME",
    "REFERENCE",
    "Checks",
    "Column",
    "Data",
    "DriftSpec",
    "Errors",
    "Estimator",
    "Features",
    "Files",
    "Fraction",
    "Guardrails",
    "Latency",
    "LoopSpec",
    "Metadata",
    "Metric",
    "ModelLoop",
    "Reference",
    "Rejections",
    "Retrain",
    "RolloutSpec",
    "Serving",
    "Source",
    "Sql",
    "Task",
    "Training",
    "Validation",
]
