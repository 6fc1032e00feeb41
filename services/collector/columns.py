"""Predictions by columns, as predictors post them: names once, then a list a row.

{"hash": [column], "version": n, "features": [name], "rows": [[id, time, score, answer, key, value, ...], ...]}, with
times in microseconds since 1970 UTC. A row that is wrong is counted and named; the others of its batch are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from serinus.adapters.records_columns import Columns
from serinus.adapters.records_tables import ticks
from services.collector.reading import Parsed, Refused, every, number, shown, string

_KINDS = (frozenset({str}), frozenset({int}), frozenset({float, int}), frozenset({str}), frozenset({str}))
_FIRST, _LAST = ticks(datetime.min.replace(tzinfo=UTC)), ticks(datetime.max.replace(tzinfo=UTC))

Row = list[Any]


def columns(given: Mapping[str, Any]) -> tuple[Columns, Parsed[Row]]:
    """(the rows that can be taken; the same by rows, and how many cannot be). Raises Refused."""
    version, names, rows = given.get("version"), given.get("features"), given.get("rows")
    if "predictions" in given:
        raise Refused("expected either predictions or rows, got both")
    if type(version) is not int:
        raise Refused(f"version: expected a whole number, got {shown(version)}")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise Refused(f"features: expected a list of names, each once, got {shown(names)}")
    width = len(_KINDS) + len(names)
    turned = _turned(rows, width) if isinstance(rows, list) else []
    if isinstance(rows, list) and _fit(turned):
        parsed = Parsed[Row](rows, 0, ())
    else:
        parsed = every("rows", rows, _row(width))
        turned = _turned(parsed.items, width)
    ids, times, scores, answers, keys, *values = turned or [()] * width
    return Columns(version, names, ids, times, scores, answers, keys, values), parsed


def _turned(rows: Sequence[Any], width: int) -> list[tuple[Any, ...]]:
    """The columns of rows; none when there are no rows, or one is no list of that width."""
    if not {list}.issuperset(map(type, rows)) or not {width}.issuperset(map(len, rows)):
        return []
    return list(zip(*rows, strict=True))


def _fit(turned: Sequence[tuple[Any, ...]]) -> bool:
    """Whether what is known of every row is of its kind, asked of a column at a time."""
    fit = all(kinds.issuperset(map(type, column)) for kinds, column in zip(_KINDS, turned, strict=False))
    return bool(turned) and fit and min(turned[1]) >= _FIRST and max(turned[1]) <= _LAST


def _row(width: int) -> Callable[[object], Row]:
    def read(row: object) -> Row:
        if not isinstance(row, list) or len(row) != width:
            wanted = f"a list of {width}: id, time, score, answer, key and {width - len(_KINDS)} features"
            raise ValueError(f"expected {wanted}, got {shown(row)}")
        id, time, score, answer, key = row[: len(_KINDS)]
        if type(time) is not int or not _FIRST <= time <= _LAST:
            raise ValueError(f"time: expected microseconds since 1970, got {shown(time)}")
        return [
            string("id", id),
            time,
            number("score", score),
            string("answer", answer),
            string("key", key),
            *row[len(_KINDS) :],
        ]

    return read
