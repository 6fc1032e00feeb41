"""Labels where somebody keeps them, through the same readers as training rows: files, a query, a user's function."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from serinus.facts import Label, Window
from serinus.sources import files, python, sql
from serinus.sources.columns import Columns
from serinus.sources.place import Place
from serinus.spec import LabelSource, Source


@dataclass(frozen=True)
class Truths:
    """What a source gave."""

    labels: tuple[Label, ...]
    blank: int = 0  # rows without a truth, or without what they are a truth of: nobody knows it yet
    before: int = 0  # rows known before the window, left out


def read(source: LabelSource, regression: bool, window: Window, folder: Path | None, now: datetime) -> Truths:
    """The labels that became known since the window's start, as far as the source says when; else all that it has.

    A source that is asked for a window (sql, python) may give more than that. folder: where the ModelLoop file lies;
    None where there is none. now: when they are known for a source without `time`, or a row without one. Raises
    DataError that names the column or file, Unavailable.
    """
    import pandas as pd

    name, value, time = source.id or source.key or "", source.value, source.time
    numbers, texts = ((value,), (name,)) if regression else ((), (name, value))
    columns = Columns("", numbers, texts, (time,) if time is not None else ())
    place = Place(folder)
    origin = Source(files=source.files, sql=source.sql, python=source.python)
    if source.files is not None:
        frame = files.read(origin, columns, window, place)
    elif source.sql is not None:
        frame = sql.read(origin, columns, window, place, where="sql labels.source.sql")
    else:
        frame = python.read(origin, columns, window, place)
    whole = frame[frame[name].notna() & frame[value].notna()]
    blank, known = len(frame) - len(whole), whole
    if time is not None:
        known = whole[~(whole[time] < window.start)]  # of a row without a time nobody knows that it is old
    times = known[time].tolist() if time is not None else [pd.NaT] * len(known)
    kind = "id" if source.id is not None else "key"
    labels = (
        Label(float(truth) if regression else str(truth), now if at is pd.NaT else at.to_pydatetime(), **{kind: of})
        for of, truth, at in zip(known[name].tolist(), known[value].tolist(), times, strict=True)
    )
    return Truths(tuple(labels), blank, len(whole) - len(known))
