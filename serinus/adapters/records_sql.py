"""The ports Recorder and Records over SQLite or Postgres: what was answered, and what turned out to be true."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import sqlalchemy as sa

from serinus.adapters import records_columns, records_read, records_tally, records_write, sql_engine, sql_statistics
from serinus.adapters.records_checks import Row, Truth, hidden, prediction_row, truth_of
from serinus.adapters.records_columns import Columns
from serinus.adapters.records_place import Place
from serinus.adapters.records_tables import LABELS, PREDICTIONS
from serinus.adapters.records_write import Count
from serinus.errors import Fatal
from serinus.facts import Label, Prediction, Record, RowsQuestion, Taken, Tally, TallyQuestion

T = TypeVar("T")
BATCH = 10_000
"""Rows of a transaction; more of them are several."""
LONGEST_KEY = 64
"""Bytes that BLAKE2b takes as a key."""


class SqlRecords:
    """The records of one namespace in a database that `sql_engine.connect` opened and `migrations.up` brought up.

    hash_key: the key under which values of hashed columns, and ids of what was erased, are kept; at most 64 bytes.
    now: what the time is; a label from the future is refused.
    """

    def __init__(
        self,
        engine: sa.Engine,
        namespace: str = "",
        hash_key: bytes = b"",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if len(hash_key) > LONGEST_KEY:
            raise Fatal(f"expected a hash key of at most {LONGEST_KEY} bytes, got {len(hash_key)}")
        self._engine = engine
        self._namespace = namespace
        self._hash_key = hash_key
        self._now = now

    def add(self, loop: str, predictions: Sequence[Prediction], hash: Collection[str] = ()) -> Taken:
        """Keep answered rows; an id that is held already stays as it is. Columns in `hash` are kept as keyed hashes."""
        return self._add(loop, predictions, hash, joined=False)[0]

    def add_joined(
        self, loop: str, predictions: Sequence[Prediction], hash: Collection[str] = ()
    ) -> tuple[Taken, tuple[Record, ...]]:
        """The same, and those of the new ones whose truth had come before them."""
        return self._add(loop, predictions, hash, joined=True)

    def add_columns(self, loop: str, columns: Columns, hash: Collection[str] = ()) -> tuple[Taken, tuple[Record, ...]]:
        """What `add_joined` does, of predictions by columns."""
        count = Count()
        rows, invalid = records_columns.rows(columns, self._namespace, loop, self._hash_key, hash)
        for id, problem in invalid:
            count.add("invalid", f"prediction {id!r}: {problem}")
        return self._keep(loop, rows, count, joined=True)

    def label(self, loop: str, labels: Sequence[Label]) -> Taken:
        """Keep truths, in the order given, each with one of the outcomes of `LabelOutcome`."""
        return self._label(loop, labels, joined=False)[0]

    def label_joined(self, loop: str, labels: Sequence[Label]) -> tuple[Taken, tuple[Record, ...]]:
        """The same, and the predictions that got their first truth by it."""
        return self._label(loop, labels, joined=True)

    def erase(self, loop: str, ids: Sequence[str] = (), keys: Sequence[str] = ()) -> int:
        """Forget these predictions and their labels for good; returns how many predictions that were.

        The id of a request of several rows stands for all of them, `ID/0`, `ID/1`, ..., whether they came or not.
        """
        return records_write.erase(self._place(loop), _names(ids), _names(keys))

    def expire(self, loop: str, before: datetime) -> int:
        """Forget what was answered before that time, and labels known before it; returns how many rows that were."""
        return records_write.expire(self._place(loop), before)

    def tally(self, loop: str, question: TallyQuestion) -> tuple[Tally, ...]:
        """Counts by version and window, oldest first, then those of each column; without windows that have no rows."""
        sql_statistics.gather(self._engine, PREDICTIONS, LABELS)
        with sql_engine.reading(self._engine) as connection:
            return tuple(records_tally.tally(connection, self._place(loop), question))

    def rows(self, loop: str, question: RowsQuestion) -> tuple[Record, ...]:
        """Records of a window, oldest first."""
        with sql_engine.reading(self._engine) as connection:
            return tuple(each.record for each in records_read.rows(connection, self._place(loop), question))

    def find(self, loop: str, ids: Sequence[str] = (), keys: Sequence[str] = ()) -> tuple[Record, ...]:
        """The records with these ids or business keys, oldest first. A request's id stands for all of its rows."""
        with sql_engine.reading(self._engine) as connection:
            found = records_read.named(connection, self._place(loop), _names(ids), _names(keys))
            return tuple(each.record for each in found)

    def waiting(self, loop: str) -> int:
        """How many labels wait for a prediction that has not come."""
        with sql_engine.reading(self._engine) as connection:
            return records_read.waiting(connection, self._place(loop))

    def _place(self, loop: str) -> Place:
        if not (loop and sql_engine.storable(loop)):
            raise Fatal(f"expected a loop's name, got {loop!r}")
        return Place(self._engine, self._namespace, loop, self._hash_key)

    def _add(
        self, loop: str, predictions: Sequence[Prediction], columns: Collection[str], joined: bool
    ) -> tuple[Taken, tuple[Record, ...]]:
        count, rows, hide = Count(), list[Row](), hidden(self._hash_key, columns)
        for item in predictions:
            row = prediction_row(item, self._namespace, loop, hide)
            if isinstance(row, str):
                count.add("invalid", f"prediction {item.id!r}: {row}")
            else:
                rows.append(row)
        return self._keep(loop, rows, count, joined)

    def _keep(self, loop: str, rows: Sequence[Row], count: Count, joined: bool) -> tuple[Taken, tuple[Record, ...]]:
        found: list[Record] = []
        for some in _batches(rows):
            found += records_write.add(self._place(loop), some, count, joined)
        return count.taken(), tuple(found)

    def _label(self, loop: str, labels: Sequence[Label], joined: bool) -> tuple[Taken, tuple[Record, ...]]:
        count, truths, now = Count(), list[Truth](), self._now()
        for item in labels:
            truth = truth_of(item, now)
            if isinstance(truth, str):
                count.add("invalid", f"label of {item.id or item.key!r}: {truth}")
            else:
                truths.append(truth)
        found: list[Record] = []
        for some in _batches(truths):
            found += records_write.label(self._place(loop), some, count, joined)
        return count.taken(), tuple(found)


def _names(names: Sequence[str]) -> list[str]:
    """Those that may be somebody's."""
    return [name for name in names if name and sql_engine.storable(name)]


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
