"""Counting in the database: what leaves it are cells and sums, however many rows they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from serinus.adapters.records_checks import text_of
from serinus.adapters.records_place import Place
from serinus.adapters.records_read import JOINED, TRUTH, VALUE, P
from serinus.adapters.records_tables import DOUBLE, PREDICTIONS, ticks
from serinus.adapters.sql_engine import storable
from serinus.errors import Fatal
from serinus.facts import BINS, Cell, ErrorSums, Tally, TallyQuestion, Window

_LONGEST = 1e12  # seconds
_Group = tuple[int, int, str]  # number of the window, version, value


def tally(connection: sa.Connection, place: Place, question: TallyQuestion) -> Iterator[Tally]:
    """Whole windows first, then by each column in turn; each oldest first, then by version."""
    if not 1e-6 <= question.every <= _LONGEST:
        raise Fatal(f"expected windows of a microsecond to {_LONGEST:g} s, got {question.every} s")
    every = round(question.every * 1_000_000)
    if unknown := [column for column in question.columns if not storable(column)]:
        raise Fatal(f"expected features as columns, got {', '.join(map(repr, unknown))}")
    of = _errors if question.regression else _cells
    for column in ("", *question.columns):
        found = of(connection, place, question, every, column)
        for number, version, value in sorted(found):
            start = question.start + number * timedelta(microseconds=every)
            window = Window(start, min(start + timedelta(microseconds=every), question.end))
            yield _made(found[number, version, value], window, version, column, value)


def _made(found: list[Cell] | tuple[int, ErrorSums], window: Window, version: int, column: str, value: str) -> Tally:
    if isinstance(found, tuple):
        rows, errors = found
        return Tally(version, window, rows, errors.rows, (), errors, column, value)
    cells = tuple(sorted(found, key=lambda cell: (cell.truth is None, cell.truth or "", cell.answer, cell.bin)))
    labelled = sum(cell.rows for cell in cells if cell.truth is not None)
    return Tally(version, window, sum(cell.rows for cell in cells), labelled, cells, None, column, value)


def _cells(
    connection: sa.Connection, place: Place, question: TallyQuestion, every: int, column: str
) -> dict[_Group, list[Cell]]:
    sums: dict[tuple[_Group, str | None, str, int], list[float]] = {}
    measures = (sa.func.count(), sa.func.sum(P.score), sa.func.sum(_square(P.score)))
    for row in _grouped(connection, place, question, every, column, (TRUTH, P.answer, _bin(place)), measures):
        number, version, value, truth, answer, score_bin, *numbers = row
        at = (number, version, _said(place, value) if column else ""), truth, answer, score_bin
        # Values that a person would write alike are one slice.
        sums[at] = [a + b for a, b in zip(sums.get(at, [0, 0.0, 0.0]), numbers, strict=True)]
    found: dict[_Group, list[Cell]] = {}
    for (group, truth, answer, score_bin), (rows, scores, squares) in sums.items():
        found.setdefault(group, []).append(Cell(truth, answer, score_bin, int(rows), scores, squares))
    return found


def _errors(
    connection: sa.Connection, place: Place, question: TallyQuestion, every: int, column: str
) -> dict[_Group, tuple[int, ErrorSums]]:
    error = P.score - VALUE
    # Powers of smaller ones are too small for a number, which Postgres takes for an error.
    error = sa.case((sa.func.abs(error) < 1e-70, sa.literal(0.0, DOUBLE)), else_=error)
    square = error * error
    measures = (
        sa.func.count(),
        sa.func.count(VALUE),
        *(sa.func.coalesce(sa.func.sum(each), 0.0) for each in (error, sa.func.abs(error), square, square * square)),
    )
    sums: dict[_Group, list[float]] = {}
    for number, version, value, *numbers in _grouped(connection, place, question, every, column, (), measures):
        at = number, version, _said(place, value) if column else ""
        sums[at] = [a + b for a, b in zip(sums.get(at, [0, 0, 0.0, 0.0, 0.0, 0.0]), numbers, strict=True)]
    return {at: (int(rows), ErrorSums(int(labelled), *rest)) for at, (rows, labelled, *rest) in sums.items()}


def _grouped(
    connection: sa.Connection,
    place: Place,
    question: TallyQuestion,
    every: int,
    column: str,
    groups: tuple[sa.ColumnElement[Any], ...],
    measures: tuple[sa.ColumnElement[Any], ...],
) -> Iterator[Any]:
    start = ticks(question.start)
    number = (P.time - start) // sa.literal(every, sa.BigInteger)
    value = _feature(place, column) if column else sa.null()
    by = (number.label("number"), P.version.label("version"), value.label("value"), *groups)
    labelled = [group.label(f"g{index}") for index, group in enumerate(by)]
    query = (
        sa.select(*labelled, *measures)
        .select_from(JOINED)
        .where(place.of(PREDICTIONS), P.time >= start, P.time < ticks(question.end))
        .group_by(*(sa.text(f"g{index}") for index in range(len(labelled))))
    )
    if question.version is not None:
        query = query.where(P.version == question.version)
    yield from connection.execute(query)


def _feature(place: Place, column: str) -> sa.ColumnElement[Any]:
    """A feature's value: a number, text, or null."""
    if place.engine.dialect.name == "postgresql":
        return P.features.op("->")(sa.literal(column, sa.Text))
    each = sa.func.json_each(P.features).table_valued("key", "value")
    return sa.select(each.c.value).where(each.c.key == column).scalar_subquery()


def _said(place: Place, value: Any) -> str:
    """A feature's value as a person would write it."""
    json = place.engine.dialect.name == "postgresql" and value is not None
    return text_of(orjson.loads(value) if json else value)


def _square(number: sa.ColumnElement[float]) -> sa.ColumnElement[float]:
    """Its square, as long as that is not too small for a number, which Postgres takes for an error."""
    return sa.case((number < 1e-150, sa.literal(0.0, DOUBLE)), else_=number * number)


def _bin(place: Place) -> sa.ColumnElement[int]:
    """The score's bin by its true edges: 0.29 * 100 is a little less than 29."""
    below = P.score * BINS
    if place.engine.dialect.name == "postgresql":
        below = sa.func.floor(below)  # its cast rounds, SQLite's cuts
    guess = sa.cast(below, sa.Integer)
    edge, next_edge = sa.cast(guess, DOUBLE) / float(BINS), sa.cast(guess + 1, DOUBLE) / float(BINS)
    true = sa.case((edge > P.score, guess - 1), (next_edge <= P.score, guess + 1), else_=guess)
    return sa.case((P.score >= (BINS - 1) / BINS, BINS - 1), else_=true)
