"""Labelled predictions as training rows, out of a real database of records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serinus import sources
from serinus.adapters.records_sql import SqlRecords
from serinus.errors import DataError
from serinus.facts import Label, Prediction
from serinus.sources import production
from serinus.spec import ModelLoop
from serinus.steps import ingest
from tests import data_sets
from tests.production_cases import opened

NOW = datetime(2026, 3, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlRecords]:
    made, engine = opened(tmp_path, NOW)
    yield made
    engine.dispose()


def loop(make: Any = data_sets.binary, **parts: Any) -> ModelLoop:
    spec, _ = make(rows=30, **{"source": {"production": {}}, "collect": {}, **parts})
    assert isinstance(spec, ModelLoop)
    return spec


def serve(records: SqlRecords, number: int, time: datetime, truth: str | float | None, **features: Any) -> None:
    name = "parcels" if isinstance(truth, str) or truth is None else "water"
    answer = "kept" if name == "parcels" else ""
    records.add(name, [Prediction(f"r-{number}", 1, time, features, 0.4, answer)])
    if truth is not None:
        records.label(name, [Label(truth, time + SECOND, id=f"r-{number}")])


def test_a_row_is_what_was_served_when_and_what_was_true(records: SqlRecords, tmp_path: Path) -> None:
    serve(records, 1, NOW - 9 * SECOND, "kept", weight=1.5, price=3, shop="north")
    serve(records, 2, NOW - 8 * SECOND, "returned", weight=None, price=4.0, shop=None)
    serve(records, 3, NOW - 7 * SECOND, None, weight=2.0, price=5.0, shop="south")  # nobody knows yet
    serve(records, 4, NOW - 6 * SECOND, "kept", weight=2.5, price=6.0)  # from before the shop was a feature
    frame = sources.read(loop(), None, NOW, lambda: records)
    assert frame["sold at"].tolist() == [NOW - s * SECOND for s in (9, 8, 6)]
    assert frame["fate"].tolist() == ["kept", "returned", "kept"]
    assert frame["price"].tolist() == [3.0, 4.0, 6.0]
    assert [round(w, 1) if w == w else None for w in frame["weight"]] == [1.5, None, 2.5]  # noqa: PLR0124
    assert frame["shop"].tolist() == ["north", None, None]
    about = ingest.run(loop().for_run(), "", tmp_path / "out", NOW, lambda: records)
    assert (about.rows, about.source) == (3, "production of parcels")


def test_the_truth_of_a_regression_is_a_number(records: SqlRecords) -> None:
    serve(records, 1, NOW - SECOND, 120.5, people=2.0, garden_m2=None, heating="gas")
    frame = sources.read(loop(data_sets.regression), None, NOW, lambda: records)
    assert frame["litres"].tolist() == [120.5]


def test_many_rows_come_in_pages_and_each_once(records: SqlRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "PAGE", 7)
    times = [NOW - timedelta(hours=1) - timedelta(seconds=n * n) for n in range(60)]
    times += [NOW - timedelta(days=2)] * 20  # more at one moment than a page holds
    predictions = [
        Prediction(f"p-{n}", 1, time, {"weight": float(n), "price": 1.0, "shop": "north"}, 0.5, "kept")
        for n, time in enumerate(times)
    ]
    records.add("parcels", predictions)
    records.label("parcels", [Label("kept", p.time + SECOND, id=p.id) for p in predictions])
    frame = sources.read(loop(), None, NOW, lambda: records)
    assert sorted(frame["weight"]) == [float(n) for n in range(80)]
    assert frame["sold at"].is_monotonic_increasing


def test_a_moment_with_more_rows_than_can_be_asked_for_is_refused(
    records: SqlRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(production, "PAGE", 2)
    monkeypatch.setattr(production, "_MOST", 5)
    for n in range(5):
        serve(records, n, NOW - SECOND, "kept", weight=1.0, price=1.0, shop="north")
    with pytest.raises(DataError, match="labelled predictions in one millisecond"):
        sources.read(loop(), None, NOW, lambda: records)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"collect": {"hash": ["shop"]}}, "of shop only hashes are"),
        ({"collect": {"columns": ["weight", "price"]}}, "expected shop to be kept, got weight, price"),
        ({"validation": {"metric": "roc_auc", "slices": ["country"]}}, "expected country to be kept"),
    ],
)
def test_columns_that_were_not_kept_as_they_were_are_refused(
    records: SqlRecords, parts: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        sources.read(loop(**parts), None, NOW, lambda: records)


def test_without_a_collector_there_is_no_production(records: SqlRecords) -> None:
    with pytest.raises(DataError, match="SERINUS_COLLECTOR_URL"):
        sources.read(loop(), None, NOW)
    with pytest.raises(DataError, match="expected rows, got none"):
        sources.read(loop(), None, NOW, lambda: records)
