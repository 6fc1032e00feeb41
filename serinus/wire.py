"""Our dataclasses as JSON bytes and back: what ledgers, artifacts and files between processes hold.

The bytes are stable: the same value gives the same bytes, whatever the order of its mappings and sets, so that they
can be compared and hashed. NaN and the infinities are written as Python's `json` writes them, and come back as they
were.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from serinus.errors import Fatal

T = TypeVar("T")
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}  # making one takes milliseconds


def dump(value: object) -> bytes:
    """`value` (dataclasses, mappings, sequences, sets of text, datetimes, numbers, text) as one line of JSON.

    Raises Fatal when it holds anything else, or a datetime without a timezone.
    """
    return json.dumps(_plain(value, "value"), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def load(kind: type[T], data: bytes) -> T:
    """The value of type `kind` that `dump` wrote. Keys that `kind` does not know are left out, so that an older
    program can read what a newer one wrote. Raises Fatal that says where the bytes are not a `kind`.
    """
    try:
        return _adapter(kind).validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        start = data[:80].decode(errors="replace")
        raise Fatal(
            f"expected {kind.__name__} as JSON, got {start!r}: {place}: {first['msg']}"
            f" ({error.error_count()} mistakes in all); restore the file or remove it"
        ) from error


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _plain(value: object, place: str) -> object:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            if value.tzinfo is None:
                raise Fatal(f"{place}: expected a datetime with a timezone, got {value.isoformat()}")
            return value.astimezone(UTC).isoformat()
        case Mapping():
            return {_key(key, place): _plain(item, f"{place}.{key}") for key, item in value.items()}
        case AbstractSet():
            return sorted(_key(item, place) for item in value)
        case Sequence() if not isinstance(value, (bytes, bytearray)):
            return [_plain(item, f"{place}[{index}]") for index, item in enumerate(value)]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            return {name: _plain(getattr(value, name), f"{place}.{name}") for name in names}
    raise Fatal(f"{place}: expected a dataclass, mapping, sequence, number, text or datetime, got {type(value)}")


def _key(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise Fatal(f"{place}: expected text as key or member of a set, got {value!r}")
    return value
