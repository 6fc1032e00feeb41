"""Durations as people write them in YAML: `250ms`, `5s`, `10m`, `1h30m`, `60d`, `2w`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
PATTERN = r"^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"


def parse(text: object) -> timedelta:
    """`1h30m` -> timedelta. Raises ValueError that says how a duration is written."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not text or not re.match(PATTERN, text):
        raise ValueError(f"expected a duration such as 250ms, 10m, 1h30m or 60d, got {text!r}")
    return sum((int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)(ms|[wdhms])", text)), timedelta())


def render(value: timedelta) -> str:
    """The shortest text that `parse` turns back into `value` (whole milliseconds)."""
    rest, parts = value, []
    for unit, length in _UNITS.items():
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse),
    PlainSerializer(render, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN}),
]
