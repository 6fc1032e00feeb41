"""When a drift began, from the counters by stretches of time; they are read only for a window in violation."""

from __future__ import annotations

from serinus.decide.shifts import Part, begun
from serinus.errors import SerinusError
from serinus.facts import DriftFinding, Profile, Window
from services.drift import windows

PARTS = 8
"""Stretches that a window is cut into."""
WINDOWS = 4
"""So many windows are read at most, the finding's own among them."""


def dated(
    finding: DriftFinding, profile: Profile, counters: windows.Counters, known: DriftFinding | None
) -> DriftFinding:
    """`finding` with the beginning of what drifted, as far as the counters can be read.

    known: the finding before it, of the same version; what had drifted then is not looked for again. Earlier windows
    are read one at a time, and only while the beginning seems to lie before what was read.
    """
    found = begun(finding, profile, (), known)
    open_ = {one.name for one in found.features if one.drifted and one.shift is not None and one.shift.since is None}
    if not open_:
        return found
    parts: tuple[Part, ...] = ()
    window = finding.window
    for _ in range(WINDOWS):
        try:
            older = windows.parts(counters, window, PARTS)
        except SerinusError:
            break
        parts = (*older, *parts)
        found = begun(finding, profile, parts, known)
        early = any(one.shift is not None and one.shift.earlier for one in found.features if one.name in open_)
        if not early or not any(any(rows.values()) for _, counts in older for rows in counts.values()):
            break
        window = Window(window.start - (window.end - window.start), window.start)
    return found
