"""How often something may happen: `1 per 90d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from serinus import durations

PATTERN = r"^[1-9][0-9]{0,5} per [0-9][0-9a-z]*$"


def apart(budget: str) -> timedelta:
    """The mean time between two that `budget` allows: `2 per 90d` is 45 days. Raises ValueError."""
    found = re.fullmatch(r"([1-9][0-9]{0,5}) per ([0-9][0-9a-z]*)", budget)
    if found is None:
        raise ValueError(f"expected a budget such as '1 per 90d', got {budget!r:.80}")
    length = durations.parse(found[2])
    if length <= timedelta():
        raise ValueError(f"expected a time longer than nothing after 'per', got {budget!r:.80}")
    return length / int(found[1])


def _checked(text: str) -> str:
    apart(text)
    return text


Budget = Annotated[str, Field(pattern=PATTERN), AfterValidator(_checked)]
