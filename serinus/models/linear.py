"""logistic-regression: imputed, scaled numbers and one-hot categories in front of scikit-learn's logistic regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serinus.models.family import Family, Layout, made
from serinus.spec import Task


def build(task: Task, layout: Layout, params: Mapping[str, object], seed: int) -> Any:  # noqa: ARG001
    """An unfitted Pipeline of encoder and LogisticRegression."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    last = made(
        LogisticRegression,
        "logistic-regression",
        {"max_iter": 1000, **params},
        fixed={"random_state": seed},
        reserved={
            "random_state": "the seed is spec.training.seed",
            "warm_start": "every model is trained from the start",
        },
    )
    count = len(layout.categorical)
    first = ColumnTransformer(
        [
            ("categorical", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(range(count))),
            (
                "numeric",
                make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()),
                list(range(count, count + layout.numeric)),
            ),
        ]
    )
    return Pipeline([("encode", first), ("classify", last)])


FAMILY = Family(tasks=("binary-classification", "multiclass-classification"), build=build)
