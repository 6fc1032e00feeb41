"""Labels where somebody keeps them: files, a query, a user's function."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy

from serinus.errors import DataError
from serinus.facts import Label, Window
from serinus.sources import truths
from serinus.spec import LabelSource

NOW = datetime(2026, 3, 10, tzinfo=UTC)
WEEK = Window(NOW - timedelta(days=7), NOW)


def read(folder: Path, regression: bool = False, **source: Any) -> truths.Truths:
    return truths.read(LabelSource.model_validate(source), regression, WEEK, folder, NOW)


def test_a_files_rows_become_labels_by_id(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text(
        "request,late,known\nr-1,1,2026-03-09T08:00:00Z\nr-2,0,2026-03-01T00:00:00Z\nr-3,,\n,1,2026-03-09T08:00:00Z\nr-4,1,\n"
    )
    found = read(tmp_path, files={"uri": "truth.csv"}, id="request", value="late", time="known")
    assert found == truths.Truths(
        (Label("1", datetime(2026, 3, 9, 8, tzinfo=UTC), id="r-1"), Label("1", NOW, id="r-4")), blank=2, before=1
    )


def test_without_a_time_they_are_known_now_and_none_is_too_old(tmp_path: Path) -> None:
    pd.DataFrame({"order": ["a", "b"], "fate": [True, False], "more": [1, 2]}).to_parquet(tmp_path / "t.parquet")
    found = read(tmp_path, files={"uri": "t.parquet"}, key="order", value="fate")
    assert found.labels == (Label("True", NOW, key="a"), Label("False", NOW, key="b"))


def test_the_value_of_a_regression_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,litres\n7,12.5\n8,\n")
    found = read(tmp_path, regression=True, files={"uri": "t.csv"}, id="id", value="litres")
    assert found == truths.Truths((Label(12.5, NOW, id="7"),), blank=1)


def test_a_query_is_asked_for_the_window(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'truth.db'}")
    rows = pd.DataFrame({"id": ["old", "new"], "y": [1, 0], "at": [NOW - timedelta(days=9), NOW - timedelta(days=1)]})
    rows.to_sql("truth", engine, index=False)
    engine.dispose()
    query = "SELECT id, y, at FROM truth WHERE at >= :start AND at < :end"
    found = read(tmp_path, sql={"url": "sqlite:///truth.db", "query": query}, id="id", value="y", time="at")
    assert found == truths.Truths((Label("0", NOW - timedelta(days=1), id="new"),))
    with pytest.raises(DataError, match=r"sql labels\.source\.sql\.query: failed"):
        read(tmp_path, sql={"url": "sqlite:///truth.db", "query": "SELECT nothing FROM truth"}, id="id", value="y")


def test_a_users_function_is_asked_for_the_window(tmp_path: Path) -> None:
    (tmp_path / "late_truths.py").write_text(
        "import pandas as pd\n\n\ndef labels(window):\n"
        "    return pd.DataFrame({'id': ['x'], 'y': ['yes'], 'at': [window.start]})\n"
    )
    found = read(tmp_path, python="late_truths:labels", id="id", value="y", time="at")
    assert found == truths.Truths((Label("yes", WEEK.start, id="x"),))


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,y\n7,1\n")
    with pytest.raises(DataError, match="missing known"):
        read(tmp_path, files={"uri": "t.csv"}, id="id", value="y", time="known")


def test_a_file_of_nothing_but_a_header_has_no_labels(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,y,known\n")
    assert read(tmp_path, files={"uri": "t.csv"}, id="id", value="y", time="known") == truths.Truths(())
