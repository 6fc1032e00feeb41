"""Training's rows by stretches of time as long as a drift window: what a version knows of days unlike other days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serinus.decide.stretches import alike
from serinus.facts import Alike, Bins, Contract, Stretches
from serinus.models.fitting import texts
from serinus.models.scoring import score
from serinus.spec import ModelLoop
from serinus.stats import bins

if TYPE_CHECKING:
    import pandas as pd

MOST, PARTS = 60, 24  # stretches that are looked at, the latest, and the parts of each
LEAST = 30  # rows of a stretch, in the mean: fewer tell nothing of how alike they are
WIDEST = 1000  # bins of a column: more would cost much memory for little


def measure(
    spec: ModelLoop, contract: Contract, estimator: Any, train: pd.DataFrame, holdout: pd.DataFrame
) -> Stretches | None:
    """Of the features by the rows of `train`, of the model's score by those of `holdout`, as `models.split` gives them.
    None where there is no drift job, or where there are too few stretches, or too few rows in them, to tell.
    """
    if spec.spec.drift is None:
        return None
    window, time, profile = spec.spec.drift.window, spec.spec.data.time, contract.profile
    part = window / PARTS
    learned, judged = (((rows[time].max() - rows[time]) // part).to_numpy() for rows in (train, holdout))
    found = {one.name: _alike(one, _values(one, train), learned) for one in profile.features}
    found[profile.score.name] = _alike(profile.score, score(contract, estimator, holdout), judged)
    told = {name: tests for name, tests in found.items() if tests}
    return Stretches(window.total_seconds(), told) if told else None


def _values(column: Bins, rows: pd.DataFrame) -> Any:
    return rows[column.name].to_numpy(dtype=np.float64) if column.kind == "numeric" else texts(rows[column.name])


def _alike(column: Bins, values: Any, ago: npt.NDArray[np.int64]) -> Mapping[str, Alike]:
    """By test; ago: how many parts before the latest each row is."""
    many, width = min(int(ago.max()) // PARTS + 1, MOST), len(column.labels())
    recent = ago < many * PARTS
    if width > WIDEST or recent.sum() < LEAST * many:
        return {}
    table = np.zeros((many * PARTS, width), dtype=np.int64)
    np.add.at(table, (many * PARTS - 1 - ago[recent], bins.place(column, values)[recent]), 1)
    return alike(column, table.reshape(many, PARTS, width))
