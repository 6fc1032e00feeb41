"""Who served the traffic, and the moments that mattered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from xml.etree.ElementTree import Element

from services.demo.plots.axis import HEIGHT, Frame, after, frame_of, length, rows, time_axis
from services.demo.plots.drawing import Point, add, canvas, clock, linear, markup, path, stairs
from services.demo.record import Record, Tick

LANES = {"DriftFound": "drift found", "Promoted": "promoted", "RolledBack": "rolled back"}


def versions(record: Record) -> tuple[int, ...]:
    """Every version that the record speaks of, the first one first."""
    found = {c.version for c in record.candidates}
    found.update(v for tick in record.ticks for v in tick.weights)
    found.update(v for month in record.months for v in month.versions)
    return tuple(sorted(found))


def colour(version: int, all_versions: Sequence[int]) -> str:
    """The class that colours a version: grey is the first one's, the six others go round."""
    place = all_versions.index(version)
    return f"c{1 + (place - 1) % 6}" if place else "c0"


def traffic(record: Record, width: int) -> str:
    """The split of traffic, stacked by version, with the moments that mattered above it."""
    known = versions(record)
    lanes = 20.0 * len(LANES)
    frame = frame_of(record, width, top=lanes + 8, height=190)
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
    y = linear(0, 100, frame.bottom, frame.top)
    floor = [0.0] * len(record.ticks)
    for version in known:
        roof = [low + tick.weights.get(version, 0) for low, tick in zip(floor, record.ticks, strict=True)]
        stretches = groupby(range(len(roof)), key=lambda i, roof=roof, floor=floor: roof[i] > floor[i])  # type: ignore[misc]
        shapes = []
        for there, places in stretches:
            if there:
                span = list(places)
                # A tick holds until the next one, so each stretch ends where the following tick begins.
                ends = [record.ticks[i].seconds for i in span] + [after(record.ticks, span[-1])]
                top = stairs([(frame.x(s), y(roof[i])) for s, i in zip(ends, [*span, span[-1]], strict=True)])
                low = stairs([(frame.x(s), y(floor[i])) for s, i in zip(ends, [*span, span[-1]], strict=True)])
                shapes.append(path([*top, *reversed(low)]) + "z")
        if shapes:
            yield version, "".join(shapes)
        floor = roof


def _names(record: Record, frame: Frame) -> Iterator[tuple[int, Point]]:
    """Where an area is large enough to bear its name."""
    y = linear(0, 100, frame.bottom, frame.top)
    end = 0
    for weights, stretch in groupby(record.ticks, key=lambda tick: tick.weights):
        span = list(stretch)
        end += len(span)
        left, right = frame.x(span[0].seconds), frame.x(after(record.ticks, end - 1))
        low = 0
        for version, weight in sorted(weights.items()):
            if right - left >= 26 and y(low) - y(low + weight) >= 16:
                yield version, ((left + right) / 2, y(low + weight / 2))
            low += weight


def _lane(drawing: Element, frame: Frame, record: Record, kind: str, name: str, y: float) -> None:
    group = add(drawing, "g", class_=f"lane {kind}")
    add(group, "text", name, x=frame.left - 8, y=y + 4, text_anchor="end")
    add(group, "line", x1=frame.left, x2=frame.right, y1=y, y2=y, class_="row")
    reach = -math.inf
    for seconds, event in record.events:
        if event.kind != kind:
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


def weight_changes(ticks: Sequence[Tick]) -> list[tuple[float, Mapping[int, int]]]:
    """(second, weights): the split at the beginning and after every change."""
    return [
        (after.seconds, after.weights)
        for before, after in pairwise([None, *ticks])
        if after and (before is None or before.weights != after.weights)
    ]
