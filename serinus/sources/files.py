"""Rows in Parquet or CSV files: one file, a folder or a glob, on this machine or behind any fsspec URI.

Readers see whole files only. A writer writes under a name that starts with `.` or `_` or ends in `.tmp`, all of which
are passed over, and renames when it is done; a rename within a folder (or a single PUT in an object store) is atomic.
So a run and a writer never disturb each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serinus.errors import DataError, SerinusError, Unavailable
from serinus.facts import Window
from serinus.sources.columns import Columns, present, typed
from serinus.sources.place import Place
from serinus.spec import Source

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv"}
NO_NUMBER = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]  # in a CSV's numbers and times


def read(source: Source, columns: Columns, window: Window, place: Place) -> pd.DataFrame:
    """The needed columns of every file, in the order of their names.

    Parquet files whose statistics say that they end before the newest one's window are left unread. A column of a
    CSV file that becomes text is read as it is written ("007" stays "007", "NA" is no null), an empty field is null.
    """
    import pandas as pd

    assert source.files is not None  # noqa: S101 - read() came here because it is set
    uri, form = source.files.uri, source.files.format
    fs, path = _opened(uri, place.folder)
    with _told(f"files {uri}"):
        names = _names(fs, path)
    if not names:
        raise DataError(
            f"files {uri}: expected a file, a folder of Parquet or CSV files, or a glob that matches some; found none"
        )
    kinds = {name: _kind(name, form) for name in names}
    ends = {name: _end(fs, name, columns) for name, kind in kinds.items() if kind == "parquet" and columns.time}
    newest = max((end for end in ends.values() if end is not None), default=None)
    length = window.end - window.start
    frames = []
    for name, kind in kinds.items():
        end = ends.get(name)
        if end is not None and newest is not None and end < newest - length:
            continue
        frames.append(_csv(fs, name, columns) if kind == "csv" else _parquet(fs, name, columns))
    return pd.concat(frames, ignore_index=True)


def _opened(uri: str, folder: Path | None) -> tuple[Any, str]:
    """The file system and the path in it; a relative path starts at `folder`."""
    import fsspec

    if "://" not in uri and "::" not in uri and folder is not None:
        uri = str(folder.resolve() / uri)
    try:
        fs, path = fsspec.core.url_to_fs(uri)
    except (ValueError, ImportError) as error:  # an unknown scheme, or one whose package is not installed
        raise DataError(f"files {uri}: cannot be reached: {error}") from error
    return fs, path


def _names(fs: Any, path: str) -> list[str]:
    """The files that `path` means, sorted by name."""
    pattern = any(c in path for c in "*?[")
    if not pattern and fs.isfile(path):
        return [path]
    found = fs.glob(path) if pattern else fs.find(path) if fs.exists(path) else []
    base = path.rstrip("/").rpartition("/")[0] if pattern else path.rstrip("/")
    return sorted(name for name in found if _whole(name.removeprefix(base)) and (not pattern or fs.isfile(name)))


def _whole(below: str) -> bool:
    """Whether the file is one that a writer has finished; a hidden folder hides what is in it."""
    return not below.endswith(".tmp") and not any(part.startswith((".", "_")) for part in below.split("/"))


def _kind(name: str, form: str) -> str:
    kind = form if form != "auto" else next((k for ending, k in ENDINGS.items() if name.endswith(ending)), None)
    if kind is None:
        raise DataError(
            f"file {name}: expected a name that ends in {', '.join(ENDINGS)};"
            " rename it, move it away, or say `format` beside the uri"
        )
    return kind


def _end(fs: Any, name: str, columns: Columns) -> datetime | None:
    """The newest time in a Parquet file as its footer has it, or None where it has none."""
    import pyarrow.parquet as pq

    with _told(f"file {name}"), fs.open(name, "rb") as file:
        about = pq.ParquetFile(file)
        names = about.schema_arrow.names
        present(names, columns, f"file {name}")
        place = [about.schema.column(i).path for i in range(len(about.schema))].index(columns.time)
        parts = [about.metadata.row_group(i).column(place) for i in range(about.metadata.num_row_groups)]
    tops = [part.statistics.max if part.is_stats_set and part.statistics.has_min_max else None for part in parts]
    times = [top for top in tops if isinstance(top, datetime)]
    if not times or len(times) < len(tops):
        return None
    return max(time if time.tzinfo else time.replace(tzinfo=UTC) for time in times)


def _parquet(fs: Any, name: str, columns: Columns) -> pd.DataFrame:
    import pyarrow.parquet as pq

    with _told(f"file {name}"), fs.open(name, "rb") as file:
        held = pq.ParquetFile(file)
        table = held.read(columns=columns.found(held.schema_arrow.names))
    return typed(table.to_pandas(ignore_metadata=True), columns, f"file {name}")


def _csv(fs: Any, name: str, columns: Columns) -> pd.DataFrame:
    import pandas as pd

    with _told(f"file {name}"), fs.open(name, "rb", compression="infer") as file:
        header = [str(c) for c in pd.read_csv(file, nrows=0).columns]
        present(header, columns, f"file {name}")
        wanted, untyped = columns.found(header), (*columns.numbers, columns.time, *columns.times)
        file.seek(0)
        frame = pd.read_csv(
            file,
            usecols=wanted,
            dtype={c: str for c in wanted if c not in columns.numbers},
            na_values={c: NO_NUMBER if c in untyped else [""] for c in wanted},
            keep_default_na=False,
            float_precision="round_trip",  # the default is off by a last bit, and content would depend on the format
        )
    return typed(frame, columns, f"file {name}")


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What the readers raise, as ours, with the file's name."""
    import pandas as pd
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(
            f"{where}: expected a whole Parquet or CSV file: {error};"
            " if it is still being written, write it under a name that ends in .tmp and rename it"
        ) from error
    except SerinusError:
        raise
    except Exception as error:  # OSError, or whatever the library behind an fsspec file system raises
        raise Unavailable(f"{where}: could not be read: {error}") from error
