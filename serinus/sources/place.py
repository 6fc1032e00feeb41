"""Where a source is read from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serinus.ports import Open


@dataclass(frozen=True)
class Place:
    """What a source may need beside its own part of the spec."""

    folder: Path | None = None  # where the ModelLoop file lies; None where there is none
    loop: str = ""
    label: str = ""
    records: Open | None = None
    kept: tuple[str, ...] = ()  # features that production keeps
    hidden: tuple[str, ...] = ()  # and those of them that the model needs and of which it keeps hashes only
