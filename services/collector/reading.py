"""What callers send, read item by item: one that is wrong is counted and named, and the others of its batch are kept.

A body that is wrong as a whole raises Refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import orjson

from serinus.facts import Prediction

T = TypeVar("T")
LONGEST = 200  # characters of an id, a key, a class
LONGEST_VALUE = 1000  # of a feature
MOST_FEATURES = 1000
MOST_PROBLEMS = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Refused(Exception):
    """The request as a whole cannot be taken; `status` is HTTP's, the text is for whoever sent it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """The items of a batch that can be taken, how many cannot, and what is wrong with the first few of those."""

    items: list[T]
    invalid: int
    problems: tuple[str, ...]


def document(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises Refused."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(f"expected JSON; {error.msg} at character {error.pos}") from None
    if not isinstance(found, dict):
        raise Refused(f"expected a JSON object, got {shown(found)}")
    return found


def every(name: str, given: object, read: Callable[[Any], T]) -> Parsed[T]:
    """`read` of each member of the list `given`; a ValueError of it makes the member an invalid one."""
    if not isinstance(given, list):
        raise Refused(f"{name}: expected a list, got {shown(given)}")
    return each(((f"{name}[{number}]", item) for number, item in enumerate(given)), read)


def each(given: Iterable[tuple[str, Any]], read: Callable[[Any], T]) -> Parsed[T]:
    """The same of (place, item)."""
    items: list[T] = []
    invalid, problems = 0, list[str]()
    for place, item in given:
        try:
            items.append(read(item))
        except ValueError as error:
            invalid += 1
            if len(problems) < MOST_PROBLEMS:
                problems.append(f"{place}: {error}")
    return Parsed(items, invalid, tuple(problems))


def prediction(item: Any) -> Prediction:
    """A prediction from its JSON object, as `wire` writes it; whether its values may be kept, the database's adapter
    says. Raises ValueError.
    """
    if not isinstance(item, dict):
        raise ValueError(f"expected an object, got {shown(item)}")
    version, features = item.get("version"), item.get("features")
    if type(version) is not int:
        raise ValueError(f"version: expected a whole number, got {shown(version)}")
    if not isinstance(features, dict):
        raise ValueError(f"features: expected an object, got {shown(features)}")
    return Prediction(
        id=string("id", item.get("id")),
        version=version,
        time=moment("time", item.get("time")),
        features=features,
        score=number("score", item.get("score")),
        answer=string("answer", item.get("answer", "")),
        key=string("key", item.get("key", "")),
    )


def string(name: str, value: object) -> str:
    """A text, whichever. Raises ValueError."""
    if isinstance(value, str):
        return value
    raise ValueError(f"{name}: expected a text, got {shown(value)}")


def text(name: str, value: object) -> str:
    """A short text without control characters. Raises ValueError."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST and not _CONTROL.search(value):
        return value
    raise ValueError(f"{name}: expected a text of 1 to {LONGEST} characters, got {shown(value)}")


def number(name: str, value: object) -> float:
    """A finite number. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if math.isfinite(found):
            return found
    raise ValueError(f"{name}: expected a finite number, got {shown(value)}")


def moment(name: str, value: object) -> datetime:
    """A time with its offset, ISO 8601. Raises ValueError."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            found = None
        if found is not None and found.tzinfo is not None:
            try:
                return found.astimezone(UTC)
            except OverflowError:  # the first and the last day of the calendar
                pass
    raise ValueError(f"{name}: expected a time with its offset, such as 2026-01-31T12:00:00Z, got {shown(value)}")


def names(what: str, given: object, most: int) -> tuple[str, ...]:
    """A list of short texts. Raises Refused."""
    if not isinstance(given, list) or len(given) > most:
        raise Refused(f"{what}: expected a list of at most {most} texts, got {shown(given)}")
    try:
        return tuple(text(what, name) for name in given)
    except ValueError as error:
        raise Refused(str(error)) from None


def shown(value: object) -> str:
    """A value as a sentence shows it: short, and of a container only what it is."""
    match value:
        case None:
            return "nothing"
        case Mapping():
            return f"an object of {len(value)}"
        case list():
            return f"a list of {len(value)}"
        case _:
            said = repr(value)
            return said if len(said) <= 60 else said[:57] + "..."
