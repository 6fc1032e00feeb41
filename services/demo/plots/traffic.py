"""Who served the traffic, and the moments that mattered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from xml.etree.ElementTree import Element

from services.demo.plots.axis import HEIGHT, Frame, frame_of, length, rows, time_axis
from services.demo.plots.drawing import Point, add, canvas, clock, linear, markup, path, stairs
from services.demo.record import Record, Tick

LANES = {"DriftFound": "drift found", "Promoted": "promoted", "RolledBack": "rolled back"}


def versions(record: Record) -> tuple[int, ...]:
    """Every version that the record speaks of, the first one first."""
    found = {c.version for c in record.candidates}
    found.update(v for tick in record.ticks for v in tick.weights)
    found.update(v for month in record.months for v in month.versions)
    return tuple(sorted(v for v in found if v > 0))  # 0 stands for answers that bore no version


def colour(version: int, all_versions: Sequence[int]) -> str:
    """The class that colours a version: grey is the first one's, the six others go round."""
    place = all_versions.index(version)
    return f"c{1 + (place - 1) % 6}" if place else "c0"


@dataclass(frozen=True)
class Phase:
    """A stretch of time in which the same versions answered."""

    start: float  # seconds since the first request
    end: float
    shares: Mapping[int, float]  # version -> percent of the answers
    course: tuple[tuple[float, Mapping[int, float]], ...]  # the same by the second, smoothed


def phases(ticks: Sequence[Tick]) -> list[Phase]:
    """What callers saw of the split. A second's fifty answers scatter around the weights by several percent, so each
    second is shown as the mean of the five around it, of the same phase: what begins or ends does so sharply.
    """
    answered = [tick for tick in ticks if tick.weights]
    found = []
    begin = 0
    for _, stretch in groupby(answered, key=_present):
        span = list(stretch)
        course = tuple((t.seconds, _shares(span[max(0, i - 2) : i + 3])) for i, t in enumerate(span))
        begin += len(span)
        end = answered[begin].seconds if begin < len(answered) else length(ticks)
        found.append(Phase(span[0].seconds, end, _shares(span), course))
    return found


def _present(tick: Tick) -> frozenset[int]:
    """Who had traffic. A canary with a small share may miss a second, and is there all the same."""
    return frozenset(v for v, share in tick.weights.items() if share) | ({tick.canary} if tick.canary else frozenset())


def _shares(ticks: Sequence[Tick]) -> dict[int, float]:
    sums: dict[int, float] = {}
    for tick in ticks:
        for version, share in tick.weights.items():
            sums[version] = sums.get(version, 0.0) + share * max(tick.requests, 1)
    total = sum(sums.values()) or 1.0
    return {version: 100 * part / total for version, part in sorted(sums.items())}


def traffic(record: Record, width: int) -> str:
    """The split of traffic, stacked by version, with the moments that mattered above it."""
    known = versions(record)
    lanes = 20.0 * len(LANES)
    frame = frame_of(record, width, top=lanes + 16, height=190)
    drawing = canvas(width, frame.bottom + HEIGHT, f"traffic{width}", "Who served the traffic", _traffic_words(record))
    _broken_pattern(drawing, f"broken{width}")
    rows(drawing, frame, [(0.0, "0 %"), (50.0, "50 %"), (100.0, "100 %")], linear(0, 100, frame.bottom, frame.top))
    broken = {c.version for c in record.candidates if c.fault}
    for version, area in _areas(record, frame, known):
        group = add(drawing, "g", class_=colour(version, known))
        add(group, "title", f"version {version}")
        add(group, "path", d=area, class_="area")
        if version in broken:
            add(group, "path", d=area, fill=f"url(#broken{width})")
    for version, (x, y) in _names(record, frame):
        add(drawing, "text", f"v{version}", x=x, y=y + 4, text_anchor="middle", class_="name")
    for i, (kind, name) in enumerate(LANES.items()):
        _lane(drawing, frame, record, kind, name, 14 + 20.0 * i)
    time_axis(drawing, frame, record.ticks)
    return markup(drawing)


def _areas(record: Record, frame: Frame, known: Sequence[int]) -> Iterator[tuple[int, str]]:
    """The outline of each version that had traffic, resting on that of the version before it."""
    y = linear(0, 100, frame.bottom, frame.top)
    moments = [(seconds, shares) for phase in phases(record.ticks) for seconds, shares in phase.course]
    if not moments:
        return
    times = [*(seconds for seconds, _ in moments), length(record.ticks)]  # each share holds until the next one
    floor = [0.0] * len(moments)
    for version in known:
        roof = [low + shares.get(version, 0.0) for low, (_, shares) in zip(floor, moments, strict=True)]
        shapes = []
        for there, places in groupby(range(len(roof)), key=lambda i, on=roof, below=floor: on[i] > below[i]):  # type: ignore[misc]
            span = list(places)
            if there:
                top, low = (
                    stairs([(frame.x(times[i]), y(edge[min(i, span[-1])])) for i in [*span, span[-1] + 1]])
                    for edge in (roof, floor)
                )
                shapes.append(path([*top, *reversed(low)]) + "z")
        if shapes:
            yield version, "".join(shapes)
        floor = roof


def _names(record: Record, frame: Frame) -> Iterator[tuple[int, Point]]:
    """Where a version's area is widest, unless it is too small to bear its name."""
    y = linear(0, 100, frame.bottom, frame.top)
    widest: dict[int, tuple[float, Point]] = {}
    for phase in phases(record.ticks):
        left, right = frame.x(phase.start), frame.x(phase.end)
        low = 0.0
        for version, share in sorted(phase.shares.items()):
            room = right - left if y(low) - y(low + share) >= 16 else 0.0
            if room >= max(26.0, widest.get(version, (0.0,))[0]):
                widest[version] = (room, ((left + right) / 2, y(low + share / 2)))
            low += share
    for version, (_, place) in widest.items():
        yield version, place


def _lane(drawing: Element, frame: Frame, record: Record, kind: str, name: str, y: float) -> None:
    group = add(drawing, "g", class_=f"lane {kind}")
    add(group, "text", name, x=frame.left - 8, y=y + 4, text_anchor="end")
    add(group, "line", x1=frame.left, x2=frame.right, y1=y, y2=y, class_="row")
    reach = -math.inf
    for seconds, event in record.events:
        if event.kind != kind or not frame.start <= seconds <= frame.end:
            continue
        x = frame.x(seconds)
        mark = add(group, "g")
        add(mark, "title", f"{clock(seconds)} {name}: {event.message}")
        add(mark, "line", x1=x, x2=x, y1=y, y2=frame.bottom, class_="drop")
        add(mark, "path", d=symbol(kind, x, y), class_="mark")
        if kind != "DriftFound" and event.version is not None and x > reach and x + 34 < frame.right:
            add(mark, "text", f"v{event.version}", x=x + 9, y=y + 4)
            reach = x + 34


def symbol(kind: str, x: float, y: float) -> str:
    """A shape for each kind of event, so that no meaning hangs on colour alone: triangle, tick, cross."""
    shapes: dict[str, list[Point]] = {
        "DriftFound": [(x - 5, y + 4), (x, y - 5), (x + 5, y + 4), (x - 5, y + 4)],
        "Promoted": [(x - 5, y), (x - 1.5, y + 4), (x + 5, y - 4)],
        "RolledBack": [(x - 4, y - 4), (x + 4, y + 4), (x, y), (x - 4, y + 4), (x + 4, y - 4)],
    }
    return path(shapes[kind])


def _broken_pattern(drawing: Element, name: str) -> None:
    pattern = add(drawing, "pattern", id=name, width=6, height=6, patternUnits="userSpaceOnUse")
    pattern.set("patternTransform", "rotate(45)")
    add(pattern, "line", x1=0, x2=0, y1=0, y2=6, class_="hatch")


def _traffic_words(record: Record) -> str:
    said = [f"Stacked areas of the traffic's share by version, over {clock(length(record.ticks))} minutes."]
    said += [f"Version {c.version}: {c.outcome}." for c in record.candidates]
    return " ".join(said)
