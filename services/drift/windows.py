"""A window's counts, and as much of what was counted before it as the comparison wants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from serinus.decide.distributions import SCALES
from serinus.decide.drift import held_against
from serinus.decide.shifts import Part
from serinus.facts import Profile, Window
from serinus.ports import Metrics
from serinus.spec import DriftSpec
from services.drift.counts import Counts, counted

PARTS = 24
"""Stretches that a window is cut into, to see how alike its rows are."""
WEEK = timedelta(days=7)

Counted = Mapping[str, Counts]
"""By distribution, by bin."""


def read(metrics: Metrics, loop: str, version: int, score: str, window: Window) -> Counted:
    """What `version` counted in the window; its scores under the name `score`. Raises what the port does."""
    features, scores = counted(metrics, loop, version, window)
    return {**features, score: scores}


def before(metrics: Metrics, loop: str, version: int, score: str, window: Window) -> tuple[Counted, ...]:
    """The windows before it that the version served in without a break, oldest first; as many as are looked at."""
    found: list[Counted] = []
    length = window.end - window.start
    for back in range(1, max(SCALES)):
        older = read(metrics, loop, version, score, Window(window.start - back * length, window.end - back * length))
        if not any(sum(bins.values()) for bins in older.values()):
            break
        found.append(older)
    return tuple(reversed(found))


def parts(metrics: Metrics, loop: str, version: int, score: str, window: Window, many: int = PARTS) -> tuple[Part, ...]:
    """The window cut into so many parts, oldest first, each with when it began."""
    starts = [window.start + (window.end - window.start) * part / many for part in range(many)]
    ends = [*starts[1:], window.end]
    return tuple(
        (start, read(metrics, loop, version, score, Window(start, end)))
        for start, end in zip(starts, ends, strict=True)
    )


def reference(
    spec: DriftSpec,
    profile: Profile,
    metrics: Metrics,
    loop: str,
    version: int,
    window: Window,
    older: tuple[Counted, ...],
) -> Profile:
    """What the window is held against, as `spec.reference` says; `older` are the windows before it."""
    if spec.reference == "training":
        return profile
    if spec.reference == "rolling":
        return held_against(profile, older)
    weeks = -(-(window.end - window.start) // WEEK) * WEEK  # a window of nine days is held against two weeks before
    then = Window(window.start - weeks, window.end - weeks)
    return held_against(profile, [read(metrics, loop, version, profile.score.name, then)])
