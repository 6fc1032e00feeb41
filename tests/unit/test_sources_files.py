"""Rows from Parquet and CSV files: which files count, which columns are read, what an error says."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import numpy as np
import pandas as pd
import pytest

from serinus import sources
from serinus.errors import DataError, Unavailable
from serinus.spec import ModelLoop
from tests import data_sets

NOW = data_sets.END + timedelta(hours=1)


def _loop(uri: str, **more: Any) -> tuple[ModelLoop, pd.DataFrame]:
    """The parcels, to be read from `uri`."""
    spec, frame = data_sets.binary(rows=60, source={"files": {"uri": uri, **more}})
    return spec, frame


def _read(spec: ModelLoop, folder: Path | None) -> pd.DataFrame:
    return sources.read(spec, folder, NOW)


def _same(found: pd.DataFrame, frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found[frame.columns.tolist()], frame)


def test_one_file_beside_the_yaml_is_read_whatever_the_working_directory_is(tmp_path: Path) -> None:
    spec, frame = _loop("deep/rows.parquet")
    (tmp_path / "deep").mkdir()
    frame.to_parquet(tmp_path / "deep/rows.parquet")
    _same(_read(spec, tmp_path), frame)


def test_a_folder_is_all_its_files_and_parquet_and_csv_mix(tmp_path: Path) -> None:
    spec, frame = _loop("data/")
    (tmp_path / "data/inner").mkdir(parents=True)
    frame[:20].to_parquet(tmp_path / "data/inner/b.parquet")
    frame[20:40].to_csv(tmp_path / "data/c.csv", index=False)
    with gzip.open(tmp_path / "data/a.csv.gz", "wt") as file:
        frame[40:].to_csv(file, index=False)
    _same(_read(spec, tmp_path), frame)


def test_a_glob_takes_what_it_matches_and_nothing_else(tmp_path: Path) -> None:
    spec, frame = _loop("*/part-*.parquet")
    for n, part in enumerate((frame[:30], frame[30:])):
        (tmp_path / str(n)).mkdir()
        part.to_parquet(tmp_path / str(n) / f"part-{n}.parquet")
    (tmp_path / "0" / "other.parquet").write_text("not even Parquet")
    _same(_read(spec, tmp_path), frame)


def test_a_file_uri_is_read(tmp_path: Path) -> None:
    spec, frame = _loop((tmp_path / "rows.csv").as_uri())
    frame.to_csv(tmp_path / "rows.csv", index=False)
    _same(_read(spec, None), frame)


@pytest.mark.parametrize("tail", ["", "/", "/*.parquet", "/a.parquet"])
def test_any_fsspec_file_system_is_read(tail: str) -> None:
    name = f"bucket-{uuid4().hex}"
    spec, frame = _loop(f"memory://{name}{tail}")
    with fsspec.open(f"memory://{name}/a.parquet", "wb") as file:
        frame.to_parquet(file)
    _same(_read(spec, Path("/nowhere")), frame)


def test_only_whole_files_are_seen_while_others_are_being_written(tmp_path: Path) -> None:
    spec, frame = _loop("data")
    (tmp_path / "data/_temporary").mkdir(parents=True)
    frame.to_parquet(tmp_path / "data/a.parquet")
    whole = (tmp_path / "data/a.parquet").read_bytes()
    for name in ("b.parquet.tmp", ".c.parquet", "_d.parquet", "_temporary/e.parquet"):
        (tmp_path / "data" / name).write_bytes(whole[: len(whole) // 2])
    _same(_read(spec, tmp_path), frame)


def test_files_that_are_renamed_into_place_while_runs_read_never_break_one(tmp_path: Path) -> None:
    spec, frame = _loop("data")
    (tmp_path / "data").mkdir()
    for n in range(10):
        part = tmp_path / "data" / f"{n}.tmp"
        frame[n * 6 : n * 6 + 6].to_parquet(part)
        part.rename(part.with_suffix(".parquet"))
        assert len(_read(spec, tmp_path)) == n * 6 + 6


def test_a_file_that_is_written_in_place_is_named_with_what_to_do(tmp_path: Path) -> None:
    spec, frame = _loop("data")
    (tmp_path / "data").mkdir()
    frame.to_parquet(tmp_path / "data/a.parquet")
    (tmp_path / "data/b.parquet").write_bytes((tmp_path / "data/a.parquet").read_bytes()[:500])
    with pytest.raises(DataError, match=r"b\.parquet: expected a whole Parquet or CSV file.* rename it"):
        _read(spec, tmp_path)


def test_other_columns_are_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    asked: list[list[str]] = []
    read = pq.ParquetFile.read

    def watched(self: Any, columns: list[str]) -> Any:
        asked.append(columns)
        return read(self, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read", watched)
    spec, frame = _loop("a.parquet")
    frame.assign(colour="x").to_parquet(tmp_path / "a.parquet")
    assert sorted(_read(spec, tmp_path).columns) == sorted(frame.columns)
    assert [sorted(names) for names in asked] == [sorted(frame.columns)]


def test_parquet_files_that_end_before_the_window_are_left_unread(tmp_path: Path) -> None:
    spec, frame = _loop("data")
    (tmp_path / "data").mkdir()
    frame.to_parquet(tmp_path / "data/new.parquet")
    old = frame.assign(weight="not a number")
    old["sold at"] -= timedelta(days=365)
    old.to_parquet(tmp_path / "data/old.parquet")
    _same(_read(spec, tmp_path), frame)


def test_a_missing_column_is_named_with_its_file_and_with_what_is_there(tmp_path: Path) -> None:
    for name, write in (("a.parquet", pd.DataFrame.to_parquet), ("a.csv", pd.DataFrame.to_csv)):
        spec, frame = _loop(name)
        write(frame.drop(columns=["shop"]), tmp_path / name, index=False)
        with pytest.raises(DataError, match=rf"{name}: expected columns .*; missing shop; found sold at, fate, weight"):
            _read(spec, tmp_path)


def test_a_value_of_the_wrong_type_is_named_with_file_and_column(tmp_path: Path) -> None:
    spec, frame = _loop("a.csv")
    frame.astype({"price": object}).assign(price="dear").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=r'a\.csv: column price: expected numbers: .*"dear"'):
        _read(spec, tmp_path)


def test_no_file_at_all_and_an_ending_nobody_knows_say_so(tmp_path: Path) -> None:
    for uri in ("gone.csv", "gone/", "*.csv"):
        with pytest.raises(DataError, match=r"expected a file, a folder .* found none"):
            _read(_loop(uri)[0], tmp_path)
    (tmp_path / "rows.txt").write_text("")
    with pytest.raises(DataError, match=r"rows\.txt: expected a name that ends in \.parquet, .*format"):
        _read(_loop("rows.txt")[0], tmp_path)
    with pytest.raises(DataError, match="cannot be reached"):
        _read(_loop("nosuch://bucket/a.csv")[0], tmp_path)


def test_format_says_how_to_read_what_the_ending_does_not(tmp_path: Path) -> None:
    spec, frame = _loop("rows.txt", format="csv")
    frame.to_csv(tmp_path / "rows.txt", index=False)
    _same(_read(spec, tmp_path), frame)


def test_an_empty_file_says_that_there_are_no_rows(tmp_path: Path) -> None:
    spec, frame = _loop("a.parquet")
    frame[:0].to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"files a\.parquet: expected rows, got none"):
        _read(spec, tmp_path)
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(DataError, match=r"b\.csv: expected a whole"):
        _read(_loop("b.csv")[0], tmp_path)


def test_csv_text_stays_as_it_is_written_and_only_an_empty_field_is_null(tmp_path: Path) -> None:
    spec, _ = _loop("a.csv")
    (tmp_path / "a.csv").write_text(
        "shop,fate,price,weight,sold at\n007,kept,1,NA,2026-02-27\nNA,kept,2,,2026-02-28\n,kept,3,4,2026-03-01\n"
    )
    found = _read(spec, tmp_path)
    assert found["shop"].tolist() == ["007", "NA", None]
    np.testing.assert_array_equal(found["weight"], [np.nan, np.nan, 4.0])


def test_a_file_that_vanishes_or_cannot_be_opened_is_worth_another_try(tmp_path: Path) -> None:
    """A compaction may take files away between the listing and the reading."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.parquet").symlink_to(tmp_path / "gone")
    with pytest.raises(Unavailable, match=r"file .*data/a\.parquet: could not be read"):
        _read(_loop("data")[0], tmp_path)
