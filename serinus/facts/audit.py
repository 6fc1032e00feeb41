"""The audit trail: who did what when, in a chain that shows if somebody rewrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Deed:
    """Something to be kept for ever; the same `id` twice is one deed."""

    id: str
    loop: str
    at: datetime
    kind: str  # an event's, or Erased, LabelsChanged
    by: str  # a person, a job, or the loop itself
    message: str
    version: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class AuditEntry:
    """A link of the chain: `digest` is the sha256 over `previous` and the deed's canonical JSON."""

    number: int  # from 1, without gaps
    deed: Deed
    previous: str  # digest of the entry before, 64 zeros of the first
    digest: str
