"""Durations as people write them in YAML: `250ms`, `5s`, `10m`, `1h30m`, `60d`, `2w`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
LONGEST = timedelta(days=36_500)  # a century: now - duration is still a date, and a typing mistake is seen
PATTERN = r"^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"


def parse(text: object) -> timedelta:
    """`1h30m` -> timedelta. Raises ValueError that says how a duration is written."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not text or not re.fullmatch(PATTERN, text):
        raise ValueError(f"expected a duration such as 250ms, 10m, 1h30m or 60d, got {text!r:.80}")
    parts = re.findall(r"([0-9]+)(ms|[wdhms])", text)
    try:
        found = sum((int(number) * _UNITS[unit] for number, unit in parts), timedelta())
    except (OverflowError, ValueError):  # ValueError: more digits than Python turns into a number
        found = LONGEST + LONGEST
    if found > LONGEST:
        raise ValueError(f"expected a duration of at most {render(LONGEST)}, got {text!r:.80}")
    return found


def render(value: timedelta) -> str:
    """The text that `parse` turns back into `value` (whole milliseconds); in days, since 60d says more than 8w4d."""
    rest, parts = value, []
    for unit, length in list(_UNITS.items())[1:]:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _some(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise ValueError("expected a duration longer than nothing, got '0s'")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse),
    PlainSerializer(render, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "minLength": 2}),
]
"""A duration; nothing (`0s`) is one too."""
PositiveDuration = Annotated[Duration, AfterValidator(_some)]
"""A duration that nothing would make no sense for."""
