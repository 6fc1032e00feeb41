"""The window and the types, whatever the source; the sources sql and python."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from serinus import sources
from serinus.errors import DataError, Fatal, Unavailable
from serinus.sources.columns import Columns, typed
from serinus.spec import ModelLoop
from tests import data_sets

NOW = data_sets.END + timedelta(hours=1)
SEEN = Columns("t", ("n",), ("c",))


def _typed(**columns: Any) -> pd.DataFrame:
    """The columns `t`, `n`, `c` brought to their types."""
    rows = len(next(iter(columns.values())))
    whole = {"t": ["2026-01-01"] * rows, "n": [0.0] * rows, "c": ["x"] * rows} | columns
    return typed(pd.DataFrame(whole), SEEN, "here")


# --- types -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "times",
    [
        ["2026-01-01 02:00:00", "2026-01-01T02:00:00Z", "2026-01-01T03:00:00+01:00"],
        [pd.Timestamp("2026-01-01 02:00")] * 3,
        [pd.Timestamp("2026-01-01 03:00", tz="Europe/Berlin")] * 3,
        np.array(["2026-01-01T02:00:00"] * 3, dtype="datetime64[s]"),
    ],
)
def test_times_become_utc_and_a_naive_time_is_utc(times: Any) -> None:
    found = _typed(t=times)["t"]
    assert str(found.dtype) == "datetime64[us, UTC]"
    assert found.tolist() == [pd.Timestamp("2026-01-01 02:00", tz="UTC")] * 3


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([1767225600, 1767225601], "expected timestamps or ISO 8601 text, got numbers"),
        (["2026-01-01", "soon"], "expected timestamps or ISO 8601 text: .*soon"),
        ([pd.Timestamp("2026-01-01"), None], "expected a time in every row, got 1 of 2 without one"),
    ],
)
def test_what_is_no_time_is_refused(times: list[Any], told: str) -> None:
    with pytest.raises(DataError, match=f"here: column t: {told}"):
        _typed(t=times)


@pytest.mark.parametrize(
    "numbers", [[1, 0], [True, False], ["1", "0.0"], [Decimal(1), Decimal(0)], pd.array([1, 0], "Int64")]
)
def test_numbers_become_float64(numbers: Any) -> None:
    found = _typed(n=numbers)["n"]
    assert str(found.dtype) == "float64"
    assert found.tolist() == [1.0, 0.0]


def test_nulls_among_numbers_become_nan() -> None:
    for nulls in ([None, 1.5], [np.nan, 1.5], pd.array([None, 1.5], "Float64")):
        np.testing.assert_array_equal(_typed(n=nulls)["n"], [np.nan, 1.5])


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (["1", "many"], 'expected numbers: .*"many"'),
        ([np.inf, 1.0], "expected finite numbers, got 1 infinite of 2"),
        ([pd.Timestamp("2026-01-01")] * 2, "expected numbers, got datetime64"),
    ],
)
def test_what_is_no_number_is_refused(numbers: list[Any], told: str) -> None:
    with pytest.raises(DataError, match=f"here: column n: {told}"):
        _typed(n=numbers)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["a", None], ["a", None]),
        ([7, 8], ["7", "8"]),
        ([7.0, np.nan], ["7", None]),
        ([0.5, 7.0], ["0.5", "7"]),
        ([True, False], ["True", "False"]),
        (pd.array([7, None], "Int64"), ["7", None]),
        (pd.Categorical(["a", None]), ["a", None]),
        ([np.nan, None], [None, None]),
    ],
)
def test_categories_become_text_and_null_becomes_none(values: Any, texts: list[str | None]) -> None:
    assert _typed(c=values)["c"].tolist() == texts


def test_what_is_no_category_is_refused() -> None:
    with pytest.raises(DataError, match=r"here: column c: expected text, numbers or booleans, got bytes: b'x'"):
        _typed(c=[b"x"])


def test_the_needed_columns_follow_the_task_and_the_slices() -> None:
    spec, _ = data_sets.binary(validation={"metric": "roc_auc", "slices": ["shop", "country"]})
    assert Columns.of(spec) == Columns("sold at", ("weight", "price"), ("fate", "shop", "country"))
    spec, _ = data_sets.regression()
    assert Columns.of(spec) == Columns("day", ("litres", "people", "garden_m2"), ("heating",))


# --- sql -----------------------------------------------------------------------------------------------------------


def _parcels(folder: Path, query: str, url: str = "sqlite:///shop.db") -> tuple[ModelLoop, pd.DataFrame]:
    """The parcels, in a database in `folder`."""
    spec, frame = data_sets.binary(rows=80, source={"sql": {"url": url, "query": query}})
    stored = frame.assign(**{"sold at": frame["sold at"].dt.strftime("%Y-%m-%d %H:%M:%S.%f")})
    with sqlite3.connect(folder / "shop.db") as connection:
        stored.to_sql("parcels", connection, index=False)
    return spec, frame


def test_a_query_is_read_from_a_database_beside_the_yaml(tmp_path: Path) -> None:
    spec, frame = _parcels(tmp_path, "select * from parcels order by price")
    pd.testing.assert_frame_equal(sources.read(spec, tmp_path, NOW)[frame.columns.tolist()], frame)


def test_start_and_end_are_bound_where_the_query_names_them(tmp_path: Path) -> None:
    spec, frame = _parcels(tmp_path, 'select * from parcels where "sold at" >= :start and "sold at" < :end')
    start = data_sets.END - timedelta(days=40)  # with a history of 30 days
    found = sources.read(spec, tmp_path, start + timedelta(days=30))
    assert len(found) == (frame["sold at"] < start + timedelta(days=30)).sum() > 0


def test_any_other_parameter_is_refused(tmp_path: Path) -> None:
    spec, _ = _parcels(tmp_path, "select * from parcels where price > :least")
    with pytest.raises(DataError, match="expected no other parameters than :start and :end, got :least"):
        sources.read(spec, tmp_path, NOW)


def test_the_url_is_filled_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, frame = _parcels(tmp_path, "select * from parcels", "sqlite:///${SHOP_FILE}")
    with pytest.raises(DataError, match="expected the environment variable SHOP_FILE to be set"):
        sources.read(spec, tmp_path, NOW)
    monkeypatch.setenv("SHOP_FILE", str(tmp_path / "shop.db"))
    assert len(sources.read(spec, None, NOW)) == len(frame)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("nosuchdb://user:${SHOP_SECRET}@host/name", DataError),
        ("${SHOP_SECRET}", DataError),
        ("postgresql+nodriver://user:${SHOP_SECRET}@host/name", DataError),
        ("sqlite:////${SHOP_SECRET}/none.db", Unavailable),
        ("sqlite://user:${SHOP_SECRET}@host/name", DataError),
    ],
)
def test_no_error_prints_what_came_from_the_environment(
    url: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SECRET", "p@ss/w:rd")
    spec, _ = _parcels(tmp_path, "select 1", url)
    with pytest.raises(error) as caught:
        sources.read(spec, tmp_path, NOW)
    assert "data.source.sql" in str(caught.value)
    for secret in ("p@ss/w:rd", "p%40ss%2Fw%3Ard"):
        assert secret not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_query_that_fails_says_why(tmp_path: Path) -> None:
    spec, _ = _parcels(tmp_path, "select * from letters")
    with pytest.raises(DataError, match=r"sql data\.source\.sql\.query: failed: .*no such table: letters"):
        sources.read(spec, tmp_path, NOW)


# --- python --------------------------------------------------------------------------------------------------------


def _function(folder: Path, body: str) -> ModelLoop:
    """A loop whose rows come from a function `rows(window)` with this body."""
    name = f"rows_{uuid4().hex}"
    (folder / f"{name}.py").write_text(f"def rows(window):\n    {body}\n")
    return data_sets.binary(rows=1, source={"python": f"{name}:rows"})[0]


def test_a_users_function_gets_the_window_and_gives_the_rows(tmp_path: Path) -> None:
    spec = _function(
        tmp_path,
        "import pandas as pd; return pd.DataFrame({'sold at': [window.start, window.end], 'fate': ['kept', 'returned'],"
        " 'weight': 1, 'price': 2, 'shop': 'north'})",
    )
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert sources.read(spec, tmp_path, now)["sold at"].tolist() == [now - timedelta(days=30), now]


@pytest.mark.parametrize(
    ("body", "error", "told"),
    [
        ("return [1]", DataError, "expected a pandas DataFrame, got list"),
        ("return 1 / 0", DataError, "ZeroDivisionError: division by zero"),
        ("from serinus.errors import Unavailable; raise Unavailable('the shop is shut')", Unavailable, "shop is shut"),
        ("import pandas as pd; return pd.DataFrame({'a': [1]})", DataError, "missing sold at, weight, price"),
    ],
)
def test_a_users_function_that_fails_is_named(tmp_path: Path, body: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        sources.read(_function(tmp_path, body), tmp_path, NOW)


def test_a_users_function_that_is_missing_is_named(tmp_path: Path) -> None:
    spec, _ = data_sets.binary(rows=1, source={"python": "no_rows_here:rows"})
    with pytest.raises(Fatal, match="expected a module no_rows_here"):
        sources.read(spec, tmp_path, NOW)


# --- the window ----------------------------------------------------------------------------------------------------


def test_the_newest_row_decides_the_window_and_rows_come_in_the_order_of_time(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(rows=200, source={"files": {"uri": "a.parquet"}}, data={"history": "10d"})
    frame.sample(frac=1, random_state=0).to_parquet(tmp_path / "a.parquet")
    found = sources.read(spec, tmp_path, NOW + timedelta(days=1000))
    expected = frame[frame["sold at"] >= data_sets.END - timedelta(days=10)].reset_index(drop=True)
    assert 0 < len(expected) < len(frame)
    pd.testing.assert_frame_equal(found[frame.columns.tolist()], expected)


def test_both_ends_of_the_window_belong_to_it(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(rows=3, source={"files": {"uri": "a.parquet"}})
    end = pd.Timestamp(data_sets.END)
    edges = [end, end - timedelta(days=30), end - timedelta(days=30, microseconds=1)]
    frame.assign(**{"sold at": edges}).to_parquet(tmp_path / "a.parquet")
    assert sources.read(spec, tmp_path, NOW)["sold at"].tolist() == [edges[1], edges[0]]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"files": {"uri": "s3://bucket/a"}}, "files s3://bucket/a"),
        (
            {"sql": {"url": "postgresql://me:se@cret@host:5432/shop?sslkey=x", "query": ""}},
            "sql postgresql://host:5432/shop",
        ),
        ({"sql": {"url": "sqlite:///shop.db", "query": ""}}, "sql sqlite:///shop.db"),
        ({"python": "rows:rows"}, "python rows:rows"),
    ],
)
def test_a_source_is_described_without_secrets(source: dict[str, Any], words: str) -> None:
    assert sources.describe(data_sets.binary(rows=1, source=source)[0]) == words
