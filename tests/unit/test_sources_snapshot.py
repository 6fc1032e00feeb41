"""The version of a dataset follows its content and nothing else."""

from __future__ import annotations

import hashlib
import struct
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus import sources
from serinus.errors import DataError
from serinus.facts import Dataset, Window
from tests import data_sets

ROW = st.tuples(
    st.datetimes(min_value=pd.Timestamp("2000-01-01"), max_value=pd.Timestamp("2100-01-01")),
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=False)),
    st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
)


def _frame(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    times, numbers, texts = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "t": pd.Series(pd.to_datetime(list(times), utc=True)).astype("datetime64[us, UTC]"),
            "n": pd.Series(numbers, dtype="float64"),
            "c": pd.Series(texts, dtype=object),
        }
    )


def _version(frame: pd.DataFrame) -> str:
    with TemporaryDirectory() as folder:
        return sources.snapshot(frame, "made up", "t", Path(folder)).version


def test_a_snapshot_comes_back_as_it_was(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(rows=50)
    made = sources.snapshot(frame, "made up", spec.spec.data.time, tmp_path)
    found, dataset = sources.open_snapshot(tmp_path)
    assert (
        dataset
        == made
        == Dataset(
            version=made.version,
            source="made up",
            window=Window(frame["sold at"].iloc[0].to_pydatetime(), data_sets.END),
            rows=50,
            schema={
                "fate": "string",
                "price": "double",
                "shop": "string",
                "sold at": "timestamp[us, tz=UTC]",
                "weight": "double",
            },
        )
    )
    pd.testing.assert_frame_equal(found, frame[sorted(frame.columns)])


def test_the_version_is_the_documented_hash() -> None:
    frame = _frame([(pd.Timestamp("1970-01-01 00:00:01"), -0.0, "é"), (pd.Timestamp("1970-01-01"), None, None)])
    content = (
        b'{"columns": [["c", "string"], ["n", "double"], ["t", "timestamp[us, tz=UTC]"]],'
        b' "format": "serinus-dataset/1", "rows": 2, "time": "t"}\n'
        + struct.pack("<ii", -1, 2)
        + "é".encode()
        + bytes.fromhex("000000000000f87f")
        + struct.pack("<d", 0.0)
        + struct.pack("<qq", 0, 1_000_000)
    )
    assert _version(frame) == hashlib.sha256(content).hexdigest()


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_of_columns_shows(rows: list[tuple[object, ...]], random: object) -> None:
    frame = _frame(rows)
    shuffled = frame.sample(frac=1, random_state=len(rows))[["c", "t", "n"]]
    assert _version(shuffled) == _version(frame)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=6), st.lists(ROW, min_size=1, max_size=6))
def test_different_rows_have_different_versions(
    rows: list[tuple[object, ...]], others: list[tuple[object, ...]]
) -> None:
    def canonical(given: list[tuple[object, ...]]) -> list[str]:
        frame = _frame(given)
        return sorted(map(repr, zip(frame["t"], frame["n"] + 0.0, frame["c"], strict=True)))

    assert (_version(_frame(rows)) == _version(_frame(others))) == (canonical(rows) == canonical(others))


def test_the_same_content_from_other_files_has_the_same_version(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(rows=90, source={"files": {"uri": "data"}})
    versions = set()
    for n, cuts in enumerate(([0, 90], [0, 10, 90], [0, 40, 50, 90])):
        folder = tmp_path / str(n)
        (folder / "data").mkdir(parents=True)
        for k, (start, end) in enumerate(pairwise(cuts)):
            part = frame[start:end].sample(frac=1, random_state=n)
            if k % 2:
                part.to_csv(folder / "data" / f"{9 - k}.csv", index=False)
            else:
                part.to_parquet(folder / "data" / f"{9 - k}.parquet", compression="gzip" if n else "snappy")
        rows = sources.read(spec, folder, data_sets.END)
        versions.add(sources.snapshot(rows, str(n), "sold at", folder / "out").version)
    assert len(versions) == 1


def test_a_row_kept_twice_counts_twice() -> None:
    frame = _frame([(pd.Timestamp("2026-01-01"), 1.0, "a")])
    assert _version(pd.concat([frame, frame])) != _version(frame)


def test_changed_rows_are_found_when_the_snapshot_is_opened(tmp_path: Path) -> None:
    _, frame = data_sets.regression(rows=20)
    sources.snapshot(frame, "made up", "day", tmp_path)
    table = pq.read_table(tmp_path / "data.parquet").to_pandas()
    table.loc[3, "people"] += 1
    table.to_parquet(tmp_path / "data.parquet")
    with pytest.raises(DataError, match=r"expected the rows of version .*; the file was changed"):
        sources.open_snapshot(tmp_path)


@pytest.mark.parametrize("name", ["data.parquet", "dataset.json"])
def test_a_snapshot_that_is_not_whole_is_refused(tmp_path: Path, name: str) -> None:
    sources.snapshot(data_sets.regression(rows=20)[1], "made up", "day", tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:20])
    with pytest.raises(DataError, match=r"expected a snapshot \(data.parquet and dataset.json\)"):
        sources.open_snapshot(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match="run ingest again"):
        sources.open_snapshot(tmp_path)


def test_no_rows_are_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="made up: expected rows to keep, got none"):
        sources.snapshot(_frame([(pd.Timestamp("2026-01-01"), 1.0, "a")])[:0], "made up", "t", tmp_path)


def test_nan_and_null_are_the_same_missing_number() -> None:
    frame = _frame([(pd.Timestamp("2026-01-01"), 1.0, "a"), (pd.Timestamp("2026-01-02"), None, "b")])
    other = frame.assign(n=pd.array([1.0, None], "Float64"))
    assert np.isnan(frame["n"].iloc[1])
    assert _version(frame) == _version(other)
