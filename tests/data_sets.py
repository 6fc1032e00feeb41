"""Made-up data sets that no code of Serinus knows: seeded, small, learnable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from serinus.spec import ModelLoop

END = datetime(2026, 3, 1, tzinfo=UTC)


def binary(rows: int = 1200, seed: int = 1, **spec: Any) -> tuple[ModelLoop, pd.DataFrame]:
    """Will a parcel be returned? Labels "kept" and "returned", nulls in a number and in a category."""
    rng = np.random.default_rng(seed)
    weight = rng.gamma(2.0, 1.5, rows)
    price = rng.lognormal(3.0, 0.7, rows)
    shop = rng.choice(["north", "south", "café"], rows, p=[0.5, 0.3, 0.2])
    logit = 0.8 * (weight - 3) - 0.02 * (price - 20) + np.where(shop == "south", 1.2, -0.3)
    frame = pd.DataFrame(
        {
            "sold at": _times(rows, rng),
            "fate": np.where(rng.random(rows) < 1 / (1 + np.exp(-logit)), "returned", "kept"),
            "weight": np.where(rng.random(rows) < 0.05, np.nan, weight),
            "price": price,
            "shop": pd.Series(shop, dtype=object).where(rng.random(rows) >= 0.03, None),
        }
    )
    features = {"numeric": ["weight", "price"], "categorical": ["shop"]}
    return _loop("parcels", "binary-classification", "sold at", "fate", features, "roc_auc", spec), frame


def multiclass(rows: int = 1200, seed: int = 2, **spec: Any) -> tuple[ModelLoop, pd.DataFrame]:
    """What grew in the field: "barley", "oats" or "rye"."""
    rng = np.random.default_rng(seed)
    rain, height = rng.normal(600, 120, rows), rng.uniform(0, 900, rows)
    soil = rng.choice(["clay", "loam", "sand"], rows)
    scores = np.column_stack(
        [0.004 * height, 0.01 * (rain - 600) + (soil == "clay"), 2.0 * (soil == "sand") - 0.01 * (rain - 600)]
    )
    crop = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    frame = pd.DataFrame(
        {
            "season": _times(rows, rng),
            "crop": np.array(["barley", "oats", "rye"])[crop],
            "rain_mm": rain,
            "height_m": height,
            "soil": soil,
        }
    )
    features = {"numeric": ["rain_mm", "height_m"], "categorical": ["soil"]}
    return _loop("fields", "multiclass-classification", "season", "crop", features, "accuracy", spec), frame


def regression(rows: int = 1200, seed: int = 3, **spec: Any) -> tuple[ModelLoop, pd.DataFrame]:
    """How many litres a house uses in a day."""
    rng = np.random.default_rng(seed)
    people = rng.integers(1, 7, rows).astype(float)
    garden = np.where(rng.random(rows) < 0.1, np.nan, rng.uniform(0, 500, rows))
    heating = rng.choice(["gas", "heat pump", "oil"], rows)
    litres = 90 * people + 0.4 * np.nan_to_num(garden) + 30 * (heating == "oil") + rng.normal(0, 20, rows)
    frame = pd.DataFrame(
        {"day": _times(rows, rng), "litres": litres, "people": people, "garden_m2": garden, "heating": heating}
    )
    features = {"numeric": ["people", "garden_m2"], "categorical": ["heating"]}
    return _loop("water", "regression", "day", "litres", features, "rmse", spec), frame


def _times(rows: int, rng: np.random.Generator) -> pd.Series[Any]:
    """Times over the 30 days before END, the newest at END, in order."""
    seconds = np.sort(rng.integers(0, 30 * 86400, rows))
    seconds[-1] = 30 * 86400
    start = END - timedelta(days=30)
    return pd.Series(pd.to_datetime([start + timedelta(seconds=int(s)) for s in seconds], utc=True)).astype(
        "datetime64[us, UTC]"
    )


def _loop(
    name: str, task: str, time: str, label: str, features: dict[str, list[str]], metric: str, spec: dict[str, Any]
) -> ModelLoop:
    """A ModelLoop; `spec` replaces whole parts of it: `training={...}`, `source={...}`, `validation={...}`."""
    data: dict[str, Any] = {
        "source": spec.pop("source", {"files": {"uri": "data/"}}),
        "time": time,
        "label": label,
        "features": features,
        "history": "30d",
        "holdout": "6d",
        **spec.pop("data", {}),
    }
    parts = {
        "task": task,
        "data": data,
        "training": {"estimator": "hist-gradient-boosting", "params": {"max_iter": 20}},
        "validation": {"metric": metric},
        **spec,
    }
    return ModelLoop.model_validate({"metadata": {"name": name}, "spec": parts})


SMALL: dict[str, dict[str, Any]] = {
    "logistic-regression": {},
    "hist-gradient-boosting": {"max_iter": 15},
    "random-forest": {"n_estimators": 15, "min_samples_leaf": 5},
}
"""Every built-in estimator, small enough to be fitted often."""

CASES = [
    (make, name)
    for make in (binary, multiclass, regression)
    for name in SMALL
    if (make, name) != (regression, "logistic-regression")
]
"""(data set, estimator that can learn it)"""


def training(name: str, **params: Any) -> dict[str, Any]:
    """`spec.training` of a small estimator."""
    return {"estimator": name, "params": {**SMALL[name], **params}}
