"""What a gate found, and the stretch of time it looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Outcome = Literal["pass", "fail", "undecided", "error"]


@dataclass(frozen=True)
class Verdict:
    """What a gate found: a value with its reasons. `error` means that it could not look, never that it passed."""

    gate: str
    outcome: Outcome
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """A half-open stretch of time, [start, end)."""

    start: datetime
    end: datetime
