"""When a stream has become worse than a bound, with a stated mean time between false alarms however long one looks.

Windows come one after the other; each gives an e-value for "the mean is over the bound", whose expectation is 1 at most
while it is not. The Shiryaev-Roberts e-detector M_n = L_n (M_(n-1) + 1) adds up the evidence that a change began at any
one of the windows; while nothing is worse than the bound its expectation at any stopping time is at most the number of
windows, so that the mean number of windows until it reaches c is c at least (Shin, Ramdas & Rinaldo 2022, "E-detectors:
a nonparametric framework for sequential change detection", theorem 2.4; after Shiryaev 1963 and Roberts 1966). A
mixture of such detectors, one an effect size, is one again. After an alarm it starts anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

EFFECTS = (0.4, 0.8, 1.6, 3.2)
"""How many standard deviations over the bound a window is bet to be; a mixture of equal parts."""


@dataclass(frozen=True)
class Seen:
    """One window: how far its figure is over the bound (positive is worse), and how far chance alone takes it.

    `expected` is the standard deviation as it was known before the window, and scales the bets; `error` is the one
    that the window's surprise is held against, and may be larger, which only makes the e-value smaller.
    """

    over: float
    expected: float
    error: float


@dataclass(frozen=True)
class Path:
    """What the detector showed: the natural log of its value after each window, and the windows that alarmed."""

    logs: tuple[float, ...]
    alarms: tuple[int, ...]


def run(windows: Sequence[Seen], apart: float, effects: Sequence[float] = EFFECTS) -> Path:
    """The detector over `windows`, oldest first; `apart`: the mean number of windows between false alarms, over 1.

    A window's e-value is that of a normal (or sub-Gaussian) figure, exp(k x - k² s² / 2). No window counts for more
    than the square root of `apart`, since a smaller e-value is one still: a single odd window alone never alarms.
    """
    if apart <= 1:
        raise ValueError(f"expected more than one window between false alarms, got {apart}")
    needed = math.log(apart)
    logs, alarms, parts = [], [], [-math.inf] * len(effects)
    for place, seen in enumerate(windows):
        parts = [
            _log_add(part, 0.0) + min(_factor(seen, e), needed / 2) for part, e in zip(parts, effects, strict=True)
        ]
        top = max(parts)
        logs.append(top + math.log(sum(math.exp(part - top) for part in parts) / len(parts)))
        if logs[-1] >= needed:
            alarms.append(place)
            parts = [-math.inf] * len(effects)
    return Path(tuple(logs), tuple(alarms))


def _factor(seen: Seen, effect: float) -> float:
    slope = effect / seen.expected
    return slope * seen.over - (slope * seen.error) ** 2 / 2


def _log_add(a: float, b: float) -> float:
    top = max(a, b)
    return top + math.log1p(math.exp(-abs(a - b)))
