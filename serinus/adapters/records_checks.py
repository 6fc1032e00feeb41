"""What may enter the tables: one bad item is said to be invalid, and never sinks the batch that it came in."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import orjson

from serinus.adapters.records_tables import ticks
from serinus.errors import Fatal
from serinus.facts import Label, Prediction, Value

NAME_BYTES = 512
"""The longest id, business key, class; a database's index holds no longer ones than some 2,700."""
AHEAD = timedelta(minutes=5)
"""How far a caller's clock may be ahead of ours."""
LARGEST = 1e70
"""The largest number of a regression: its fourth power still is one."""

Kind = Literal["id", "key"]
Row = dict[str, Any]


class Truth(NamedTuple):
    """A label as the tables hold it."""

    kind: Kind
    name: str
    truth: str
    value: float | None
    at: int


def prediction_row(item: Prediction, namespace: str, loop: str, hidden: Callable[[str, Value], Value]) -> Row | str:
    """The row of `predictions`, or what is wrong with the item."""
    problem = (
        _name_problem("id", item.id, True)
        or _name_problem("key", item.key, False)
        or _name_problem("answer", item.answer, False)
        or _time_problem(item.time)
    )
    if not problem and (not isinstance(item.version, int) or not 0 <= item.version < 2**31):
        problem = f"expected a version's number, got {item.version!r}"
    if problem:
        return problem
    try:
        score = float(item.score)
        features = {name: hidden(name, feature(value)) for name, value in item.features.items()}
        document = orjson.dumps(features).decode()
    except (TypeError, ValueError, OverflowError) as error:
        return f"expected numbers and text as score and features: {error}"
    if "\\u0000" in document and any("\0" in text for text in _texts(features)):
        return "expected features without zero bytes"
    low, high = (0.0, 1.0) if item.answer else (-LARGEST, LARGEST)
    if not low <= score <= high:
        return f"expected a score from {low:g} to {high:g}, got {score:g}"
    return {
        "namespace": namespace,
        "loop": loop,
        "id": item.id,
        "version": item.version,
        "time": ticks(item.time),
        "key": item.key or None,
        "features": document,
        "score": score,
        "answer": item.answer,
    }


def truth_of(item: Label, now: datetime) -> Truth | str:
    """The label as it would be kept, or what is wrong with it."""
    if bool(item.id) == bool(item.key):
        return f"expected either an id or a key, got {'both' if item.id else 'neither'}"
    kind: Kind = "id" if item.id else "key"
    name, text = item.id or item.key, _class(item.truth)
    if text is None:
        return f"expected a class or a number as truth, got {item.truth!r}"
    problem = _name_problem(kind, name, True) or _name_problem("truth", text, True) or _time_problem(item.at)
    if problem:
        return problem
    if item.at > now + AHEAD:
        return f"expected a time when the truth became known, got {item.at.isoformat()}, which is in the future"
    return Truth(kind, name, text, _number(text), ticks(item.at))


def request_of(id: str) -> str:
    """The request of several rows that one with this id would be of, "" when it is none's: `r/7` is of `r`."""
    request, _, number = id.rpartition("/")
    return request if number.isascii() and number.isdigit() else ""


def hidden(hash_key: bytes, columns: Collection[str]) -> Callable[[str, Value], Value]:
    """What replaces a value of one of `columns` by its keyed hash. Raises Fatal without a key."""
    if columns and not hash_key:
        raise Fatal("expected a key for the hashed columns, got none: a hash without a key is found by trying values")
    names = frozenset(columns)

    def hide(name: str, value: Value) -> Value:
        return value if name not in names or value is None else keyed(hash_key, "feature", text_of(value))

    return hide


def keyed(hash_key: bytes, purpose: str, text: str) -> str:
    """BLAKE2b of the text under the key: 32 hexadecimal digits, other ones for another purpose."""
    return hashlib.blake2b(text.encode(), digest_size=16, key=hash_key, person=purpose.encode()).hexdigest()


def text_of(value: object) -> str:
    """A feature's value as a person would write it; a slice is called so."""
    if isinstance(value, float):
        return "null" if math.isnan(value) else f"{value:g}"
    return "null" if value is None else str(value)


def feature(value: Any) -> Value:
    """A value as it is kept. Raises TypeError, ValueError, OverflowError for what is neither number nor text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    number = float(value)
    return number if math.isfinite(number) else None  # JSON has no other word for it


def _texts(features: Mapping[str, Value]) -> list[str]:
    return [*features, *(value for value in features.values() if isinstance(value, str))]


def _class(truth: object) -> str | None:
    if isinstance(truth, (bool, str)):
        return str(truth) or None
    if not isinstance(truth, (int, float)) or not math.isfinite(truth):
        return None
    return f"{truth:.0f}" if truth == int(truth) and abs(truth) < 1e15 else repr(float(truth))


@lru_cache(maxsize=1024)  # of classes there are few, and to find out that one is no number costs most
def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) <= LARGEST else None  # neither is NaN


def _time_problem(time: datetime) -> str:
    return "" if time.tzinfo is not None else f"expected a time with a timezone, got {time.isoformat()}"


def _name_problem(what: str, text: object, needed: bool) -> str:
    if not isinstance(text, str) or (needed and not text):
        return f"expected {what} as text, got {text!r}"
    if text.isascii() and len(text) <= NAME_BYTES and "\0" not in text:
        return ""  # as nearly all are
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return f"expected {what} as text, got half a character in {text!r}"
    if size > NAME_BYTES:
        return f"expected {what} of at most {NAME_BYTES} bytes, got {size}"
    return f"expected {what} without zero bytes, got {text!r}" if "\0" in text else ""
