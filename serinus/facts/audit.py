"""The audit trail: who did what when, in a chain that shows if somebody rewrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Deed:
    """Something to be kept for ever; the same `id` twice is one deed. A new field needs an empty default: old digests
    must stay what they were (decide/audit.py).
    """

    id: str
    loop: str
    at: datetime
    kind: str  # an event's, or Erased, LabelsChanged
    by: str  # a person, a job, or the loop itself
    message: str
    version: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    namespace: str = ""  # of the loop, on a cluster; "" on a laptop


@dataclass(frozen=True)
class AuditEntry:
    """A link of the chain: `digest` is the sha256 over `previous` and the deed's canonical JSON (decide/audit.py)."""

    number: int  # from 1, without gaps
    deed: Deed
    previous: str  # digest of the entry before, 64 zeros of the first
    digest: str
