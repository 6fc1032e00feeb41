"""What a look for drift found: distribution by distribution, and of the window as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from serinus.facts.verdicts import Verdict, Window


@dataclass(frozen=True)
class Alike:
    """What one test of one distribution has to know of rows that a version learned from: how alike they were."""

    effect: float  # design effect: as many rows as told what one independent row does
    correlation: float  # of any two rows of the same stretch, beyond the clumps within it


@dataclass(frozen=True)
class Stretches:
    """How unlike each other stretches of training were, while nothing changed."""

    seconds: float  # how long a stretch is: a drift window, when the version was made
    alike: Mapping[str, Mapping[str, Alike]]  # by distribution (of the score: on the holdout), then by test


@dataclass(frozen=True)
class Shift:
    """How far one distribution moved, how much that matters, and since when: for people, nothing is decided by it."""

    distance: float  # Jensen-Shannon, of the window's histogram from the training rows': 0 the same, 1 nothing shared
    sd: float | None = None  # the mean's, in training's standard deviations; None: categories, or not known
    largest: str = ""  # the bin whose share changed most, in words
    importance: float | None = None  # of the feature, its share of all features'; None: not known, or no feature
    used: bool = True  # False: shuffling the feature changes no answer of the model
    since: datetime | None = None  # the most likely beginning; None: not estimated
    earlier: bool = False  # `since` is as far back as could be seen, so it may have begun before


@dataclass(frozen=True)
class DriftSign:
    """One test of a distribution that says: significant, and large enough."""

    test: Literal["shape", "shift", "missing", "unseen"]
    effect: float  # shape: PSI; shift: standard deviations, positive is larger; missing, unseen: rise of their share
    p_value: float
    windows: int = 1  # so many of the latest windows, looked at as one


@dataclass(frozen=True)
class FeatureDrift:
    """One feature's window against the training profile."""

    name: str
    p_value: float  # of the chi-squared test on the bin counts
    psi: float  # population stability index
    drifted: bool
    shift: Shift | None = None  # of a finding before the latest only the deciding figures are kept
    signs: tuple[DriftSign, ...] = ()  # what says that it drifted; empty when nothing does
    clumps: float = 1.0  # as many rows as tell what one independent row does: the largest design effect of its tests


@dataclass(frozen=True)
class DriftFinding:
    """What one look of the drift job found; `fail` means that the window is in violation."""

    version: int  # the champion whose counters and profile were compared
    window: Window
    rows: int
    verdict: Verdict
    features: tuple[FeatureDrift, ...] = ()
