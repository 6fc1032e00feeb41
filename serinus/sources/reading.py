"""From any source to the window's rows, in the order of time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from serinus.errors import DataError
from serinus.facts import Window
from serinus.ports import Open
from serinus.sources.columns import Columns
from serinus.sources.place import Place
from serinus.spec import ModelLoop, Source

if TYPE_CHECKING:
    import pandas as pd

Read = Callable[[Source, Columns, Window, Place], "pd.DataFrame"]
"""A source: (its part of the spec, the needed columns, the window asked for, where it is read from) -> typed rows.

It may give more rows than the window's, not fewer; `columns.typed` makes the types. What it cannot give is a
DataError, a server that cannot be asked is Unavailable.
"""


def read(
    spec: ModelLoop, folder: Path | None, now: datetime, records: Open | None = None, extras: tuple[str, ...] = ()
) -> pd.DataFrame:
    """The window's rows: from the newest row less `data.history` to the newest row, both included, sorted by time.

    folder: where the ModelLoop file lies; relative paths and the user's modules are found from it.
    records: opens the collector's records, for the source `production`. extras: columns that come along, as text,
    where the source has them.
    now: the end of the window that sql and python sources are asked for; its start lies `data.history` earlier, and
    `checks.maxAge` more where that is set, so that a late source still fills its window.
    Columns: time, label, features, and the slices that are none of these; types as `sources.columns` says.
    Raises DataError that names the column or file, Unavailable.
    """
    from serinus.sources import TABLE

    data = spec.spec.data
    asked = Window(now - data.history - (data.checks.max_age or timedelta()), now)
    kind = next(name for name in TABLE if getattr(data.source, name) is not None)
    frame = TABLE[kind](data.source, Columns.of(spec, *extras), asked, _place(spec, folder, records))
    if frame.empty:
        raise DataError(f"{describe(spec)}: expected rows, got none")
    window = frame[frame[data.time] >= frame[data.time].max() - data.history]
    ordered: pd.DataFrame = window.sort_values(data.time, kind="stable", ignore_index=True)
    return ordered


def _place(spec: ModelLoop, folder: Path | None, records: Open | None) -> Place:
    collect, data = spec.spec.collect, spec.spec.data
    features = (*data.features.numeric, *data.features.categorical)
    if collect is None:
        return Place(folder, spec.name, data.label, records)
    kept = features if collect.columns is None else collect.columns
    hidden = tuple(name for name in collect.hash if name in features)
    return Place(folder, spec.name, data.label, records, kept, hidden)


def describe(spec: ModelLoop) -> str:
    """Where the rows come from, as the spec says it, without user names, passwords and options of a URL."""
    source = spec.spec.data.source
    if source.files is not None:
        return f"files {source.files.uri}"
    if source.sql is not None:
        return f"sql {re.sub(r'//.*@', '//', source.sql.url).partition('?')[0]}"
    if source.production is not None:
        return production_of(spec.name)
    return f"python {source.python}"


def production_of(loop: str) -> str:
    """What `describe` says of a loop that learns from its own answers."""
    return f"production of {loop}"
