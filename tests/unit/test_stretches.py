"""What a version knows of how unlike each other days of its training were."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serinus import models, sources
from serinus.decide import stretches as decided
from serinus.facts import Bins, Contract, Stretches
from serinus.models import stretches
from serinus.spec import ModelLoop
from tests import data_sets

ROWS = 12_000  # in 30 days, 6 of them the holdout


def told(folder: Path, spec: ModelLoop, frame: pd.DataFrame) -> tuple[Stretches | None, Contract]:
    sources.snapshot(frame, "made up", spec.spec.data.time, folder)
    rows, dataset = sources.open_snapshot(folder)
    estimator, contract = models.fit(spec, rows, dataset, None)
    return stretches.measure(spec, contract, estimator, *models.split(spec, rows)), contract


def moody(frame: pd.DataFrame, width: float = 0.3) -> pd.DataFrame:
    """Every day's rain is more, or less, by a number of its own, so many standard deviations wide."""
    rng = np.random.default_rng(5)
    day = (data_sets.END - frame["season"]).dt.days.to_numpy()
    return frame.assign(rain_mm=frame["rain_mm"] + 120 * width * rng.normal(size=31)[day])


def test_days_unlike_other_days_are_told_by_feature_and_test(tmp_path: Path) -> None:
    spec, frame = data_sets.multiclass(ROWS)
    found, contract = told(tmp_path, spec, moody(frame))
    assert found is not None
    assert found.seconds == 86400
    assert set(found.alike) == {"rain_mm", "height_m", "soil", "score"}
    assert set(found.alike["rain_mm"]) == {"shape", "shift", "missing"}
    assert set(found.alike["soil"]) == {"shape", "missing", "unseen"}
    # 0.09 of a variance of 1.09 is the days' own.
    assert 0.03 < found.alike["rain_mm"]["shift"].correlation < 0.2
    assert found.alike["rain_mm"]["shift"].effect > 10
    assert found.alike["rain_mm"]["shape"].correlation >= found.alike["rain_mm"]["shift"].correlation / 2
    assert found.alike["height_m"]["shift"].correlation < 0.005
    assert found.alike["soil"]["unseen"].effect == 1.0
    assert sum(contract.profile.features[0].counts) == contract.profile.rows


def test_what_lasts_as_long_as_a_window_is_asked_for(tmp_path: Path) -> None:
    spec, frame = data_sets.multiclass(ROWS, drift={"window": "2d"})
    found, _ = told(tmp_path, spec, moody(frame))
    assert found is not None
    assert found.seconds == timedelta(days=2).total_seconds()
    assert set(found.alike) == {"rain_mm", "height_m", "soil"}, "six days of holdout are too few windows to tell"


@pytest.mark.parametrize(
    ("rows", "spec"),
    [
        (ROWS, {"drift": None}),
        (ROWS, {"drift": {"window": "7d"}}),  # four stretches
        (600, {}),  # 20 rows a day
    ],
)
def test_where_it_cannot_be_told_nothing_is(rows: int, spec: dict[str, Any], tmp_path: Path) -> None:
    assert told(tmp_path, *data_sets.multiclass(rows, **spec))[0] is None


def test_columns_of_very_many_values_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "WIDEST", 8)
    found, _ = told(tmp_path, *data_sets.multiclass(ROWS))
    assert found is not None
    assert set(found.alike) == {"soil"}


def test_rare_bins_are_no_direction_of_their_own() -> None:
    """One row in all, in one of sixty days: by itself it would be a clump."""
    counts = np.zeros((60, 24, 5), dtype=np.int64)
    counts[:, :, :2] = 10
    counts[30, 0, 2] = 1
    column = Bins("soil", "categorical", categories=("clay", "loam", "sand"), counts=(14_400, 14_400, 1, 0, 0))
    assert decided.alike(column, counts)["shape"].correlation == 0.0
