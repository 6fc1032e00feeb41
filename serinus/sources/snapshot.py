"""A dataset that has a version: rows as a Parquet file that is named by what it holds.

The version is the sha256 of the canonical content, not of the Parquet bytes, which change with the library. Canonical
content (format `serinus-dataset/1`):

1. columns in the order of their names; types `timestamp[us, tz=UTC]`, `double` or `string`;
2. rows sorted by the time column, then by the others in the order of their names: ascending, nulls first, text by
   its UTF-8 bytes; equal rows are kept as often as they occur;
3. one line of JSON `{"columns": [[name, type], ...], "format": ..., "rows": n, "time": name}` and a newline;
4. then each column. timestamp: int64 microseconds since 1970 UTC. double: IEEE 754, every null and NaN as the quiet
   NaN 0x7ff8000000000000 and -0.0 as 0.0. string: int32 length in bytes of each (-1 is null), then all bytes. Numbers
   are little-endian.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serinus import wire
from serinus.errors import DataError
from serinus.facts import Dataset, Window

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT = "serinus-dataset/1"
DATA, ABOUT = "data.parquet", "dataset.json"


def snapshot(frame: pd.DataFrame, source: str, time: str, directory: Path) -> Dataset:
    """Write `frame` (as `sources.read` gives it) to `directory` in canonical form, and say what it is.

    source: where the rows came from, for a person. time: the time column, which has no null.
    """
    import pyarrow.parquet as pq

    table = _canonical(frame, time)
    times = table[time].to_pylist()
    dataset = Dataset(
        version=_version(table, time),
        source=source,
        window=Window(times[0], times[-1]),
        rows=table.num_rows,
        schema={field.name: str(field.type) for field in table.schema},
    )
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, directory / DATA)
    (directory / ABOUT).write_bytes(wire.dump(dataset))
    return dataset


def open_snapshot(directory: Path) -> tuple[pd.DataFrame, Dataset]:
    """The rows and what they are. Raises DataError when they are not those that the version names."""
    import pyarrow.parquet as pq

    dataset = wire.load(Dataset, (directory / ABOUT).read_bytes())
    table = pq.read_table(directory / DATA)
    return table.to_pandas(), dataset


def _canonical(frame: pd.DataFrame, time: str) -> pa.Table:
    import pandas as pd
    import pyarrow as pa

    arrays: dict[str, Any] = {}
    for name in sorted(frame.columns):
        column = frame[name]
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            arrays[name] = pa.array(column.dt.tz_convert("UTC"), pa.timestamp("us", "UTC"))
        elif pd.api.types.is_numeric_dtype(column.dtype):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # -0.0 + 0.0 is 0.0
            arrays[name] = pa.array(values, pa.float64(), from_pandas=True)
        else:
            arrays[name] = pa.array(column, pa.string(), from_pandas=True)
    table = pa.table(arrays)
    keys = [time, *(n for n in table.column_names if n != time)]
    return table.sort_by([(key, "ascending") for key in keys])


def _version(table: pa.Table, time: str) -> str:
    import pyarrow.types as kinds

    digest = hashlib.sha256()
    head = {
        "format": FORMAT,
        "time": time,
        "rows": table.num_rows,
        "columns": [[f.name, str(f.type)] for f in table.schema],
    }
    digest.update(json.dumps(head, sort_keys=True).encode() + b"\n")
    for field in table.schema:
        column = table[field.name]
        if kinds.is_timestamp(field.type):
            digest.update(column.cast("int64").to_numpy().astype("<i8").tobytes())
        elif kinds.is_floating(field.type):
            digest.update(np.where(column.is_null(), np.nan, column.to_numpy()).astype("<f8").tobytes())
        else:
            texts = [None if v is None else v.encode() for v in column.to_pylist()]
            digest.update(np.array([-1 if t is None else len(t) for t in texts], dtype="<i4").tobytes())
            digest.update(b"".join(t for t in texts if t is not None))
    return digest.hexdigest()


_ = DataError
