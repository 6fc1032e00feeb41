"""Who serves, with which share, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class Variant:
    """A version that should serve, and the share of traffic it should get (whole percent)."""

    version: int
    weight: int
    mirror: int = 0
    """Whole percent of the requests that it gets a copy of. Its answers to these are thrown away, and it never answers
    anybody: neither by a share nor in another's place. At most one variant has this."""


@dataclass(frozen=True)
class Sticky:
    """By what a user is known: requests with the same value of it go to the same version while the shares stay."""

    kind: Literal["header", "cookie"]
    name: str


@dataclass(frozen=True)
class Routing:
    """Who should serve. Weights sum to 100; a variant at 0 is kept ready without traffic."""

    variants: tuple[Variant, ...] = ()
    sticky: Sticky | None = None  # None: every request is drawn anew

    def weight(self, version: int) -> int:
        """The share that `version` should get, 0 when it is not there."""
        return next((v.weight for v in self.variants if v.version == version), 0)

    @property
    def mirrored(self) -> Variant | None:
        """The variant that gets copies."""
        return next((v for v in self.variants if v.mirror), None)


@dataclass(frozen=True)
class VariantState:
    """A version as the router sees it."""

    version: int
    ready: bool
    weight: int  # the share it really gets now
    message: str = ""  # why it is not ready, when it is not
    restarts: int = 0
    mirror: int = 0  # percent of the requests that it really gets a copy of now


@dataclass(frozen=True)
class RoutingState:
    """What serves now."""

    variants: tuple[VariantState, ...] = ()

    def of(self, version: int) -> VariantState | None:
        """The state of `version`, or None when the router does not know it."""
        return next((v for v in self.variants if v.version == version), None)


@dataclass(frozen=True)
class Arm:
    """Counts of answers of one version over an interval."""

    answers: int = 0  # outcomes ok and error: the trials of `errors`
    errors: int = 0
    rejected: int = 0  # outcome invalid: the client's fault, or a contract that became narrower
    timed: int = 0  # answers with a measured latency: the trials of `slow`
    slow: int = 0  # of these, over the threshold
    labelled: int = 0  # answers whose label came in the interval, whenever they were given: the trials of `wrong`
    wrong: int = 0  # of these, not what was answered
    times: tuple[tuple[float, int], ...] = ()  # (bucket's upper bound in seconds, answers in it), rising; last: inf
    scores: tuple[tuple[float, int], ...] = ()  # (bin's upper edge, scores in it), rising; the last: infinity
    ratios: tuple[tuple[str, int, int], ...] = ()  # (guardrail, denominator's increase, numerator's)

    def without_times(self) -> Arm:
        """The same answers, with nothing known of how long they took."""
        return replace(self, timed=0, slow=0, times=())


@dataclass(frozen=True)
class Block:
    """Both arms over the same interval [start, end): one factor of the judge's evidence."""

    start: datetime
    end: datetime
    stable: Arm
    canary: Arm


@dataclass(frozen=True)
class Series:
    """What one counter's time series gained in an interval, resets handled, never extrapolated."""

    labels: Mapping[str, str]
    increase: float
    samples: int  # raw samples inside the interval; 0 means that nothing was scraped


@dataclass(frozen=True)
class CountsQuestion:
    """The counts that the judge needs next."""

    stable: int | None
    canary: int
    start: datetime
    end: datetime
    labels: bool = False  # whether the labels that came in it count, too
    ratios: tuple[str, ...] = ()  # the user's ratios that count in it, by name
