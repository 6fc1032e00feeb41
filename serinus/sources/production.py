"""What the loop itself answered and what turned out to be true: labelled predictions as training rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from serinus.errors import DataError
from serinus.facts import Record, RowsQuestion, Window
from serinus.ports import Records
from serinus.sources.columns import Columns, typed
from serinus.sources.place import Place
from serinus.spec import Source

if TYPE_CHECKING:
    import pandas as pd

PAGE = 10_000
"""Records that are asked for at once, and 100,000 where so many have one and the same time."""
_MOST, _FINEST = 100_000, timedelta(milliseconds=1)
WHERE = "production"


def read(_: Source, columns: Columns, window: Window, place: Place) -> pd.DataFrame:
    """A row for each labelled prediction that was answered in [start, end) of the window.

    The time is when it was answered, the label is its truth, and the features are those that were served; a feature
    that a record lacks (it was answered before the feature was kept) is null. Of a key that was asked about several
    times each answer is a row. Raises DataError for columns that the collector keeps as hashes or not at all.
    """
    import pandas as pd

    wanted = [c for c in columns.all if c not in (columns.time, place.label)]
    if hashed := [c for c in wanted if c in place.hidden]:
        raise DataError(
            f"{WHERE}: expected features that are kept as they were served, but of {', '.join(hashed)} only hashes are"
            " (collect.hash), which no caller can send; take them out of data.features, or out of collect.hash"
        )
    if lost := [c for c in wanted if c not in place.kept]:
        raise DataError(
            f"{WHERE}: expected {', '.join(lost)} to be kept, got {', '.join(place.kept) or 'no column'}; a feature can"
            " be added to collect.columns, and what is no feature is not known of a prediction"
        )
    if place.records is None:
        raise DataError(f"{WHERE}: expected a collector to read from (SERINUS_COLLECTOR_URL), got none")
    records = place.records()
    made: dict[str, list[object]] = {name: [] for name in (columns.time, place.label, *wanted)}
    for record in labelled(records, place.loop, window):
        made[columns.time].append(record.prediction.time)
        made[place.label].append(record.truth)
        for name in wanted:
            made[name].append(record.prediction.features.get(name))
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in made.items()})
    frame[columns.time] = pd.to_datetime(frame[columns.time], utc=True)
    return typed(frame, columns, WHERE)


def labelled(records: Records, loop: str, window: Window) -> Iterator[Record]:
    """Every labelled record of the window, oldest first, in pages: a stretch that holds more is asked for in halves."""
    todo = [window]
    while todo:
        part = todo.pop()
        fine = part.end - part.start <= _FINEST
        found = records.rows(loop, RowsQuestion(part, labelled=True, limit=_MOST if fine else PAGE + 1))
        if len(found) <= PAGE:
            yield from found
        elif not fine:
            middle = part.start + (part.end - part.start) / 2
            todo += [Window(middle, part.end), Window(part.start, middle)]
        elif len(found) < _MOST:
            yield from found
        else:
            raise DataError(
                f"{WHERE}: expected fewer than {_MOST:,} labelled predictions in one millisecond, got as many at"
                f" {part.start}; were they recorded with a wrong time?"
            )
