"""random-forest: scikit-learn's random forests, with categories as their positions and native missing values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serinus.models.family import Family, Layout, made
from serinus.spec import Task


def build(task: Task, layout: Layout, params: Mapping[str, object], seed: int) -> Any:  # noqa: ARG001
    """An unfitted RandomForestClassifier or -Regressor."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
    return made(
        kind,
        "random-forest",
        params,
        fixed={"random_state": seed},
        reserved={
            "random_state": "the seed is spec.training.seed",
            "warm_start": "every model is trained from the start",
        },
    )


def settle(estimator: Any) -> Any:
    """Answering in one thread: several add the trees' votes in the order in which they finish, and rounding shows."""
    estimator.n_jobs = None
    return estimator


FAMILY = Family(tasks=("binary-classification", "multiclass-classification", "regression"), build=build, settle=settle)
