"""Pipeline runs, as they are asked for and as the runner sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from serinus.facts.drift import FeatureDrift

Cause = Literal["initial", "schedule", "drift", "quality", "data", "manual"]
RunPhase = Literal["pending", "running", "succeeded", "failed"]


@dataclass(frozen=True)
class Why:
    """What a run was asked for: for people, nothing is decided by it."""

    reason: str = ""  # a sentence
    drift: tuple[FeatureDrift, ...] = ()  # of drift: what had drifted, what matters most to the model first


@dataclass(frozen=True)
class RunRequest:
    """A pipeline run to be made at most once: `key` is its identity everywhere."""

    key: str  # {loop}-{cause}-{end of the window}, only [A-Za-z0-9._-]
    loop: str
    cause: Cause
    requested: datetime
    spec: str  # the ModelLoop as JSON, as it was when the run was asked for
    why: Why | None = None


@dataclass(frozen=True)
class RunState:
    """A run as the runner sees it."""

    key: str
    loop: str
    cause: Cause
    phase: RunPhase
    created: datetime
    ended: datetime | None = None
    step: str = ""  # the step that runs now, or the one that failed
    reason: str = ""  # why it failed, in a sentence

    @property
    def active(self) -> bool:
        """Whether it may still change."""
        return self.phase in ("pending", "running")
