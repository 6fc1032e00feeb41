"""Files of labels as people have them, read part by part: CSV with a header, Parquet, or a JSON object a line."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serinus.errors import Fatal
from serinus.facts import Label

PART = 5_000  # rows
MOST_PROBLEMS = 20

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Columns:
    """Which column holds what; exactly one of id and key. No time: what is true is known since it is added."""

    value: str
    id: str = ""
    key: str = ""
    time: str = ""


@dataclass(frozen=True)
class Part:
    """Some rows of the file: the labels in them, how many rows are none, and what is wrong with the first of those."""

    labels: tuple[Label, ...]
    invalid: int
    problems: tuple[str, ...]
    done: float  # share of the file that has been read with this part


@dataclass(frozen=True)
class _Read:
    """An open file: its columns, and its rows with the place of each and the share read so far."""

    names: tuple[str, ...]
    rows: Iterator[tuple[str, Row, float]]


def columns(names: Sequence[str], id: str, key: str, value: str, time: str) -> Columns:
    """The columns that are meant; those that nobody named are `id` or `key`, `truth`, and `at` where there is one.

    Raises Fatal when there is no such column, or none or both of id and key are.
    """
    if not id and not key:
        id, key = (name if name in names else "" for name in ("id", "key"))
    if bool(id) == bool(key):
        got = "both" if id else "neither"
        raise Fatal(f"expected one column with ids (--id) or business keys (--key), got {got}; {_there(names)}")
    found = Columns(value or "truth", id, key, time or ("at" if "at" in names else ""))
    for what, name in (("--id", found.id), ("--key", found.key), ("--value", found.value), ("--time", found.time)):
        if name and name not in names:
            raise Fatal(f"expected a column {name!r} ({what}), got none; {_there(names)}")
    return found


def parts(file: Path, chosen: Callable[[Sequence[str]], Columns], now: datetime) -> Iterator[Part]:
    """The file's labels; `chosen` says which of its columns are meant. Raises Fatal when it cannot be read."""
    opened = _KINDS.get(file.suffix.lower())
    if opened is None:
        raise Fatal(f"{file}: expected a file named {', '.join(_KINDS)}, got {file.suffix or 'no ending'}")
    try:
        read = opened(file)
        meant = chosen(read.names)
        labels: list[Label] = []
        problems: list[str] = []
        invalid, done = 0, 0.0
        for place, row, done in read.rows:
            try:
                labels.append(label(row, meant, now))
            except ValueError as error:
                invalid += 1
                problems += [f"{place}: {error}"] if len(problems) < MOST_PROBLEMS else []
            if len(labels) + invalid >= PART:
                yield Part(tuple(labels), invalid, tuple(problems), done)
                labels, problems, invalid = [], [], 0
        if labels or invalid:
            yield Part(tuple(labels), invalid, tuple(problems), 1.0)
    except _errors() as error:
        raise Fatal(f"{file}: expected {_NAMES[file.suffix.lower()]}: {error}") from error


def label(row: Row, meant: Columns, now: datetime) -> Label:
    """The label in a row. Raises ValueError."""
    at = _time(row.get(meant.time), meant.time) if meant.time else now
    kind, column = ("id", meant.id) if meant.id else ("key", meant.key)
    name = _name(row.get(column), column)
    return Label(_truth(row.get(meant.value), meant.value), at, **{kind: name})


def _truth(value: object, column: str) -> str | float:
    match value:
        case bool():  # as the training data's are written
            return str(value)
        case int() | float() if value == value:  # noqa: PLR0124 (not NaN)
            return float(value) if abs(value) < 2**53 else str(value)
        case str() if value:
            return value
    raise ValueError(f"{column}: expected a class or a number, got {_shown(value)}")


def _name(value: object, column: str) -> str:
    match value:
        case str() if value:
            return value
        case bool():
            pass
        case int():
            return str(value)
        case float() if value.is_integer():  # a column of whole numbers with gaps
            return str(int(value))
    raise ValueError(f"{column}: expected an id or a business key, got {_shown(value)}")


def _time(value: object, column: str) -> datetime:
    """Times without an offset are UTC, as in training data."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, datetime):
        raise ValueError(f"{column}: expected a time such as 2026-01-31T12:00:00Z, got {_shown(value)}")
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _csv(file: Path) -> _Read:
    to = file.open("rb")
    size = max(1, file.stat().st_size)
    lines = csv.reader((line.decode("utf-8-sig" if to.tell() == len(line) else "utf-8") for line in to), strict=True)
    names = tuple(name.strip() for name in next(lines, []))

    def rows() -> Iterator[tuple[str, Row, float]]:
        with to:
            for cells in lines:
                if cells:
                    fits = len(cells) == len(names)
                    row = dict(zip(names, cells, strict=True)) if fits else {}
                    yield f"line {lines.line_num}", row, to.tell() / size

    return _Read(names, rows())


def _json_lines(file: Path) -> _Read:
    to = file.open("rb")
    size = max(1, file.stat().st_size)
    first = to.readline()
    names = tuple(_object(first)) if first.strip() else ()
    to.seek(0)

    def rows() -> Iterator[tuple[str, Row, float]]:
        with to:
            for number, line in enumerate(to, 1):
                if line.strip():
                    yield f"line {number}", _object(line), to.tell() / size

    return _Read(names, rows())


def _object(line: bytes) -> Row:
    """The line's object; an empty one for a line that is none, whose columns are then missed by name."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _parquet(file: Path) -> _Read:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file)
    total = max(1, table.metadata.num_rows)

    def rows() -> Iterator[tuple[str, Row, float]]:
        number = 0
        with table:
            for batch in table.iter_batches(PART):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row, number / total

    return _Read(tuple(table.schema_arrow.names), rows())


def _errors() -> tuple[type[Exception], ...]:
    """What reading raises; pyarrow's only once it was asked."""
    arrow = sys.modules.get("pyarrow")
    return (OSError, UnicodeDecodeError, csv.Error, *((arrow.ArrowException,) if arrow is not None else ()))


def _there(names: Sequence[str]) -> str:
    return f"the file has {', '.join(names) or 'no columns'}"


def _shown(value: object) -> str:
    return "nothing" if value is None or value == "" else f"{value!r:.60}"


_KINDS: Mapping[str, Callable[[Path], _Read]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}
_NAMES = {".csv": "CSV with a header, in UTF-8", ".parquet": "Parquet"} | dict.fromkeys(
    (".jsonl", ".ndjson"), "a JSON object a line, in UTF-8"
)
