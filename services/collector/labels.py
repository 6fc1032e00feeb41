"""Labels as people and programs send them: JSON, or CSV with a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from serinus.facts import Label
from services.collector.reading import Parsed, Refused, document, each, every, moment, number, shown, string

COLUMNS = ("id", "key", "truth", "at")


def from_json(body: bytes, now: datetime) -> Parsed[Label]:
    """`{"labels": [{"id" or "key", "truth", "at"?}, ...]}`; without `at` a truth is known since `now`."""
    given = document(body)
    if "labels" not in given:
        raise Refused(f'expected {{"labels": [...]}}, got an object with {", ".join(sorted(given)[:5]) or "nothing"}')
    return every("labels", given["labels"], lambda item: label(item, now))


def from_csv(body: bytes, now: datetime) -> Parsed[Label]:
    """A header with `truth`, `id` or `key` (or both: a row has one of them), maybe `at`; UTF-8, commas."""
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip() for name in next(lines, [])]
        _check(header)
        return each(_rows(lines, header), lambda row: _of_row(row, now))
    except UnicodeDecodeError as error:
        raise Refused(f"expected CSV in UTF-8; {error.reason} at byte {error.start}") from None
    except csv.Error as error:
        raise Refused(f"expected CSV; {error}") from None


def label(item: Any, now: datetime) -> Label:
    """A label from its JSON object. Raises ValueError."""
    if not isinstance(item, dict):
        raise ValueError(f"expected an object, got {shown(item)}")
    unknown = sorted(set(item) - set(COLUMNS))
    if unknown:
        raise ValueError(f"expected {', '.join(COLUMNS)}, got {unknown[0][:40]!r} too")
    at = item.get("at")
    identity, key = _who(item.get("id") or "", item.get("key") or "")
    return Label(_truth(item.get("truth")), now if at is None else moment("at", at), identity, key)


def _who(identity: object, key: object) -> tuple[str, str]:
    if bool(identity) == bool(key):
        raise ValueError(f"expected exactly one of id and key, got {'both' if identity else 'neither'}")
    return string("id", identity), string("key", str(key) if type(key) is int else key)  # as callers sent it


def _truth(value: object) -> str | float:
    """A class as text, or a number. A whole number is as good as its text: it may be a class or a value."""
    match value:
        case bool() | int():
            return str(value)  # True and False, as classes of that kind are called everywhere here
        case float():
            return number("truth", value)
        case str() if value:
            return value
    raise ValueError(f"truth: expected a class or a number, got {shown(value)}")


def _check(header: list[str]) -> None:
    expected = "expected a header of truth, one or both of id and key, and maybe at"
    if unknown := [name for name in header if name not in COLUMNS]:
        raise Refused(f"{expected}; got the column {unknown[0][:40]!r}")
    if len(set(header)) < len(header):
        raise Refused(f"{expected}; got a column twice")
    if "truth" not in header or not {"id", "key"} & set(header):
        raise Refused(f"{expected}; got {', '.join(header) or 'nothing'}")


def _rows(lines: Iterator[list[str]], header: list[str]) -> Iterator[tuple[str, Any]]:
    for number_of_line, cells in enumerate(lines, 2):
        if cells:  # an empty line
            fits = len(cells) == len(header)
            yield f"row {number_of_line}", dict(zip(header, cells, strict=True)) if fits else (len(header), len(cells))


def _of_row(row: Any, now: datetime) -> Label:
    if isinstance(row, tuple):
        raise ValueError(f"expected {row[0]} cells, got {row[1]}")
    cells = {name: cell.strip() for name, cell in row.items()}
    return label({name: cell for name, cell in cells.items() if cell}, now)
