"""A dataset that has a version: rows in a Parquet file, named by what they are.

The version is the sha256 of the canonical content, not of the Parquet bytes, which change with the library. Canonical
content (format `serinus-dataset/1`):

1. columns in the order of their names; types `timestamp[us, tz=UTC]`, `double` or `string`;
2. rows sorted by the time column, then by the others in the order of their names: ascending, text by its UTF-8 bytes,
   nulls last; equal rows are kept as often as they occur;
3. one line of JSON, keys sorted: `{"columns": [[name, type], ...], "format": ..., "rows": n, "time": name}`, newline;
4. then each column. timestamp: int64 microseconds since 1970 UTC. double: IEEE 754, every null and NaN as
   0x7ff8000000000000, -0.0 as 0.0. string: int32 length in bytes of each (-1 is null), then all bytes. Numbers are
   little-endian.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serinus import wire
from serinus.errors import DataError, Fatal
from serinus.facts import Dataset, Window

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT = "serinus-dataset/1"
DATA, ABOUT = "data.parquet", "dataset.json"


def snapshot(frame: pd.DataFrame, source: str, time: str, directory: Path) -> Dataset:
    """Write `frame` (as `sources.read` gives it) to `directory` in canonical order, and say what it is.

    source: where the rows came from, for a person; it is no part of the version. time: the column that orders them.
    Raises DataError when there are no rows.
    """
    import pyarrow.parquet as pq

    if frame.empty:
        raise DataError(f"{source}: expected rows to keep, got none")
    table = _canonical(frame, time)
    dataset = Dataset(
        version=_version(table, time),
        source=source,
        window=Window(table[time][0].as_py(), table[time][-1].as_py()),
        rows=table.num_rows,
        schema={field.name: str(field.type) for field in table.schema},
    )
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, directory / DATA)
    (directory / ABOUT).write_bytes(wire.dump(dataset))
    return dataset


def open_snapshot(directory: Path) -> tuple[pd.DataFrame, Dataset]:
    """The rows (float64 with NaN, text with None, times in UTC) and what they are.

    Raises DataError when the files are not whole, or the rows are not those that the version names.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        dataset = wire.load(Dataset, (directory / ABOUT).read_bytes())
        table = pq.ParquetFile(directory / DATA).read()
    except (OSError, pa.ArrowInvalid, Fatal) as error:
        raise DataError(f"{directory}: expected a snapshot ({DATA} and {ABOUT}): {error}; run ingest again") from error
    time = next((field.name for field in table.schema if pa.types.is_timestamp(field.type)), "")
    version = _version(table, time)
    if version != dataset.version:
        raise DataError(
            f"{directory / DATA}: expected the rows of version {dataset.version}, got those of {version};"
            " the file was changed after it was made: run ingest again"
        )
    return table.to_pandas(), dataset


def _canonical(frame: pd.DataFrame, time: str) -> pa.Table:
    import pandas as pd
    import pyarrow as pa

    arrays: dict[str, Any] = {}
    for name in sorted(frame.columns):
        column = frame[name]
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            arrays[name] = pa.array(column.dt.tz_convert("UTC").astype("datetime64[us, UTC]"))
        elif pd.api.types.is_numeric_dtype(column.dtype):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # -0.0 + 0.0 is 0.0
            arrays[name] = pa.array(values, pa.float64(), from_pandas=True)
        else:
            arrays[name] = pa.array(column, pa.string(), from_pandas=True)
    table = pa.table(arrays)
    keys = [time, *(name for name in table.column_names if name != time)]
    return table.sort_by([(key, "ascending") for key in keys])


def _version(table: pa.Table, time: str) -> str:
    import pyarrow as pa

    digest = hashlib.sha256()
    columns = [[field.name, str(field.type)] for field in table.schema]
    head = {"columns": columns, "format": FORMAT, "rows": table.num_rows, "time": time}
    digest.update(json.dumps(head, sort_keys=True).encode() + b"\n")
    for field in table.schema:
        column = table[field.name]
        if pa.types.is_timestamp(field.type):
            digest.update(column.cast(pa.int64()).to_numpy().astype("<i8").tobytes())
        elif pa.types.is_floating(field.type):
            digest.update(column.fill_null(np.nan).to_numpy().astype("<f8").tobytes())
        else:
            texts = [None if text is None else text.encode() for text in column.to_pylist()]
            digest.update(np.array([-1 if text is None else len(text) for text in texts], dtype="<i4").tobytes())
            digest.update(b"".join(text for text in texts if text is not None))
    return digest.hexdigest()
