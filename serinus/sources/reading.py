"""From any source to the one form that everything after it knows: the window's rows, typed, in the order of time.

The form: the time column as UTC; numeric features (and a regression's label) as float64 with NaN; categorical
features, slices and a classification's label as text with None.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serinus.errors import DataError
from serinus.facts import Window
from serinus.sources.columns import Columns, typed
from serinus.spec import ModelLoop

if TYPE_CHECKING:
    import pandas as pd

Read = Callable[[ModelLoop, Columns, Window, Path | None], "pd.DataFrame"]
"""A source: (spec, the columns that are needed, the window that is asked for, the YAML's folder) -> their rows.

A source may give more columns and more rows than are asked for; what it cannot give is a DataError.
"""


def read(spec: ModelLoop, folder: Path | None, now: datetime) -> pd.DataFrame:
    """The window's rows: from the newest row less `data.history` to the newest row, sorted by time.

    folder: where the ModelLoop file lies; relative paths and the user's modules are found from it.
    now: the end of the window that the source is asked for; its start is `history` (and `checks.maxAge`) earlier. A
    source that goes by names of files alone gives all that it has; the newest row decides in every case.
    Columns: time, label, features, slices. Raises DataError that names the column or file.
    """
    from serinus.sources import TABLE

    data = spec.spec.data
    columns = Columns.of(spec)
    asked = Window(now - data.history - (data.checks.max_age or timedelta()), now)
    kind = next(name for name in TABLE if getattr(data.source, name) is not None)
    frame = typed(TABLE[kind](spec, columns, asked, folder), columns, describe(spec))
    if frame.empty:
        raise DataError(f"{describe(spec)}: expected rows with a {data.time}, got none")
    window = frame[frame[data.time] >= frame[data.time].max() - data.history]
    return window.sort_values(data.time, kind="stable", ignore_index=True)


def describe(spec: ModelLoop) -> str:
    """Where the rows come from, in words that hold no password and no path of this machine."""
    source: Any = spec.spec.data.source
    if source.files is not None:
        return f"files {source.files.uri}"
    if source.sql is not None:
        return f"sql {source.sql.url.rpartition('@')[2]}"
    return f"python {source.python}"
