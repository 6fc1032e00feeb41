"""Training-serving skew: whether features were served as the training table has them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serinus import wire
from serinus.adapters.records_sql import SqlRecords
from serinus.errors import Unavailable
from serinus.facts import Prediction
from serinus.spec import ModelLoop
from serinus.stats.skew import ColumnSkew, Rows, Skew, compare
from serinus.steps import check, ingest, skew
from tests import data_sets
from tests.production_cases import opened

NOW = data_sets.END + timedelta(hours=1)
NAN = float("nan")


def test_a_column_is_compared_key_by_key() -> None:
    table: Rows = {
        "a": {"x": 1.0, "c": "u"},
        "b": {"x": NAN, "c": "u"},
        "c": {"x": 3.0, "c": None},
        "d": {"x": 4.0, "c": "7"},
        "e": {"x": 5.0},
    }
    served: Rows = {
        "a": {"x": 1.0000000001, "c": "u"},
        "b": {"x": 2.5, "c": "w"},
        "c": {"x": None, "c": None},
        "d": {"c": 7},
        "z": {"x": 1.0},
    }
    assert compare(table, served, ["x", "c"]) == Skew(
        5,
        4,
        (
            ColumnSkew("x", 3, 2, 2, "b: null in the table, 2.5 served"),
            ColumnSkew("c", 4, 1, 0, "b: u in the table, w served"),
        ),
    )


def test_of_nothing_nothing_differs() -> None:
    (column,) = compare({"a": {"x": 1.0}}, {}, ["x"]).columns
    assert (column.rows, column.share) == (0, 0.0)
    assert compare({"a": {"x": NAN}}, {"a": {"x": None}}, ["x"]).columns[0].differing == 0


# --- in the pipeline's steps --------------------------------------------------------------------------------------


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlRecords]:
    found, engine = opened(tmp_path, NOW)
    yield found
    engine.dispose()


def table(folder: Path, form: str = "parquet", **collect: object) -> tuple[ModelLoop, pd.DataFrame]:
    """A table with the business key `order`, in the folder's `data/`."""
    spec, frame = data_sets.binary(rows=1200, collect={"key": "order", **collect})
    frame = frame.assign(order=[f"o-{n}" for n in range(len(frame))])
    (folder / "data").mkdir()
    if form == "csv":
        frame.to_csv(folder / "data" / "rows.csv", index=False)
    else:
        frame.to_parquet(folder / "data" / "rows.parquet")
    return spec, frame


def serve(records: SqlRecords, frame: pd.DataFrame, heavier: float) -> None:
    """The newest 100 orders; of every fourth the weight is another than the table's."""
    predictions = []
    for n, row in enumerate(frame.tail(100).to_dict("records")):
        weight = None if pd.isna(row["weight"]) else row["weight"] + (heavier if n % 4 == 0 else 0.0)
        features = {"weight": weight, "price": row["price"], "shop": row["shop"]}
        predictions.append(Prediction(f"p-{n}", 1, NOW - timedelta(minutes=1), features, 0.4, "kept", row["order"]))
    assert records.add("parcels", predictions).outcomes == {"new": 100}


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_what_was_served_otherwise_is_on_the_page_and_fails_nothing(
    records: SqlRecords, tmp_path: Path, form: str
) -> None:
    spec, frame = table(tmp_path, form)
    serve(records, frame, heavier=1.0)
    about = ingest.run(spec.for_run(), str(tmp_path), tmp_path / "dataset", NOW, lambda: records)
    assert "order" not in about.schema
    kept = wire.load(Skew, (tmp_path / "dataset" / skew.FILE).read_bytes())
    weighed = int(frame.tail(100).iloc[::4]["weight"].notna().sum())
    assert (kept.keys, kept.served) == (1000, 100)
    assert [(c.name, c.rows, c.differing) for c in kept.columns] == [
        ("weight", 100, weighed), ("price", 100, 0), ("shop", 100, 0),
    ]  # fmt: skip
    report = check.run(spec.for_run(), tmp_path / "dataset", None, tmp_path / "report", NOW)
    assert report.verdict.outcome == "pass"
    assert report.verdict.figures["skew_keys"] == 100.0
    assert report.verdict.figures["skew_weight"] == weighed / 100
    page = (tmp_path / "report" / check.PAGE).read_text()
    assert "training-serving skew" in page
    assert f"{weighed}.0% of 100 keys" in page


def test_the_key_is_no_part_of_the_data(records: SqlRecords, tmp_path: Path) -> None:
    spec, _ = table(tmp_path)
    with_key = ingest.run(spec.for_run(), str(tmp_path), tmp_path / "one", NOW, lambda: records)
    bare, _ = data_sets.binary(rows=1200)
    without = ingest.run(bare.for_run(), str(tmp_path), tmp_path / "two", NOW)
    assert with_key.version == without.version


def test_a_collector_that_is_away_fails_no_run(tmp_path: Path) -> None:
    def away() -> SqlRecords:
        raise Unavailable("the collector does not answer")

    spec, _ = table(tmp_path)
    ingest.run(spec.for_run(), str(tmp_path), tmp_path / "dataset", NOW, away)
    report = check.run(spec.for_run(), tmp_path / "dataset", None, tmp_path / "report", NOW)
    assert (report.verdict.outcome, "skew_keys" in report.verdict.figures) == ("pass", False)


def test_hashed_columns_are_not_compared(records: SqlRecords, tmp_path: Path) -> None:
    spec, frame = table(tmp_path, hash=["shop"])
    serve(records, frame, heavier=0.0)
    ingest.run(spec.for_run(), str(tmp_path), tmp_path / "dataset", NOW, lambda: records)
    found, lines = skew.findings(tmp_path / "dataset")
    assert found is not None
    assert [line.column for line in lines] == ["weight", "price"]
    assert lines[0].reason == "weight: served otherwise than the table has it for 0.0% of 100 keys"


@pytest.mark.parametrize("collect", [None, {}, {"key": "weight"}, {"key": "fate"}])
def test_there_is_no_skew_to_see_without_a_key_of_its_own(collect: dict[str, object] | None) -> None:
    parts: dict[str, Any] = {"collect": collect} if collect is not None else {}
    spec, _ = data_sets.binary(rows=30, **parts)
    assert skew.key(spec) == ""


def test_a_source_without_the_key_and_one_whose_keys_were_never_served_say_nothing(
    records: SqlRecords, tmp_path: Path
) -> None:
    spec, frame = table(tmp_path)
    ingest.run(spec.for_run(), str(tmp_path), tmp_path / "unserved", NOW, lambda: records)
    found, lines = skew.findings(tmp_path / "unserved")
    assert found is not None
    assert (found.served, lines, skew.figures(found)) == (0, (), {"skew_keys": 0.0})
    frame.drop(columns="order").to_parquet(tmp_path / "data" / "rows.parquet")
    ingest.run(spec.for_run(), str(tmp_path), tmp_path / "keyless", NOW, lambda: records)
    assert skew.findings(tmp_path / "keyless") == (None, ())
