"""What every part of the file has in common, and the words that several parts use."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Task = Literal["binary-classification", "multiclass-classification", "regression"]
Metric = Literal[
    "roc_auc", "average_precision", "log_loss", "brier", "accuracy", "balanced_accuracy", "f1", "rmse", "mae", "r2"
]
METRICS_OF: dict[Task, tuple[Metric, ...]] = {
    "binary-classification": (
        "roc_auc", "average_precision", "log_loss", "brier", "accuracy", "balanced_accuracy", "f1",
    ),
    "multiclass-classification": ("roc_auc", "log_loss", "accuracy", "balanced_accuracy", "f1"),
    "regression": ("rmse", "mae", "r2"),
}  # fmt: skip
JUDGED: dict[Task, tuple[Metric, ...]] = {
    "binary-classification": ("accuracy", "roc_auc", "brier", "log_loss"),
    "multiclass-classification": ("accuracy",),
    "regression": ("rmse", "mae"),
}
"""What can be judged in production, from counts by score bin."""
Fraction = Annotated[float, Field(ge=0, le=1)]
REFERENCE = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"
Reference = Annotated[str, Field(pattern=REFERENCE)]  # package.module:function
Column = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """A part of the file: camelCase keys, no unknown ones, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_attribute_docstrings=True,
        allow_inf_nan=False,
    )  # fmt: skip
