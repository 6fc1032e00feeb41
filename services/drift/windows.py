"""A window's counts, and as much of what was counted before it as the comparison wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from serinus.decide.distributions import SCALES
from serinus.decide.drift import held_against
from serinus.decide.shifts import Part
from serinus.facts import Bins, Profile, Window
from serinus.ports import Metrics
from serinus.spec import DriftSpec
from services.drift.counts import Counts, counted, labelled

PARTS = 24
"""Stretches that a window is cut into, to see how alike its rows are."""
WEEK = timedelta(days=7)

Counted = Mapping[str, Counts]
"""By distribution, by bin."""


@dataclass(frozen=True)
class Counters:
    """Whose counts are read: a version's rows, its scores under the name `score`, and the labels that came of it."""

    metrics: Metrics
    loop: str
    version: int
    score: str
    label: Bins | None = None  # None: labels are not compared

    def read(self, window: Window) -> Counted:
        """What was counted in the window. Raises what the port does."""
        features, scores = counted(self.metrics, self.loop, self.version, window)
        found = {**features, self.score: scores}
        if self.label is None:
            return found
        return {**found, self.label.name: labelled(self.metrics, self.loop, self.version, window, self.label)}


def before(counters: Counters, window: Window) -> tuple[Counted, ...]:
    """The windows before it that the version served in without a break, oldest first; as many as are looked at."""
    found: list[Counted] = []
    length = window.end - window.start
    for back in range(1, max(SCALES)):
        older = counters.read(Window(window.start - back * length, window.end - back * length))
        if not any(sum(bins.values()) for bins in older.values()):
            break
        found.append(older)
    return tuple(reversed(found))


def parts(counters: Counters, window: Window, many: int = PARTS) -> tuple[Part, ...]:
    """The window cut into so many parts, oldest first, each with when it began."""
    starts = [window.start + (window.end - window.start) * part / many for part in range(many)]
    ends = [*starts[1:], window.end]
    return tuple((start, counters.read(Window(start, end))) for start, end in zip(starts, ends, strict=True))


def reference(
    spec: DriftSpec, profile: Profile, counters: Counters, window: Window, older: tuple[Counted, ...]
) -> Profile:
    """What the window is held against, as `spec.reference` says; `older` are the windows before it."""
    if spec.reference == "training":
        return profile
    if spec.reference == "rolling":
        return held_against(profile, older)
    weeks = -(-(window.end - window.start) // WEEK) * WEEK  # a window of nine days is held against two weeks before
    then = Window(window.start - weeks, window.end - weeks)
    return held_against(profile, [counters.read(then)])
