"""hist-gradient-boosting: scikit-learn's histogram gradient boosting, with native categories and missing values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serinus.models.family import Family, Layout, made
from serinus.spec import Task


def build(task: Task, layout: Layout, params: Mapping[str, object], seed: int) -> Any:
    """An unfitted HistGradientBoostingClassifier or -Regressor."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return made(
        kind,
        "hist-gradient-boosting",
        params,
        fixed={
            "random_state": seed,
            "categorical_features": list(range(len(layout.categorical))) or None,
        },
        reserved={
            "random_state": "the seed is spec.training.seed",
            "categorical_features": "the categorical features are spec.data.features.categorical",
            "warm_start": "every model is trained from the start",
        },
    )


def settle(estimator: Any) -> Any:
    """Without the column-wise encoder that scikit-learn puts before the trees.

    The matrix already has its form (categorical columns first, codes 0..k-1, NaN for the rest), so it changes no
    value; it costs a request about a millisecond, and it cannot be kept without trusting `functools.partial`.
    """
    estimator._preprocessor = None
    return estimator


FAMILY = Family(tasks=("binary-classification", "multiclass-classification", "regression"), build=build, settle=settle)
