"""The time axis that plots share: the clock since the first request, and the month that was replayed then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from xml.etree.ElementTree import Element

from services.demo.plots.drawing import NONE, Scale, add, clock, linear
from services.demo.record import Record, Tick

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HEIGHT = 44.0  # of the time axis: the clock and the months


@dataclass(frozen=True)
class Frame:
    """Where a plot over time lies in its drawing, and how its time runs. Lengths are the drawing's units."""

    start: float  # seconds since the first request
    end: float

    left: float
    right: float
    top: float
    bottom: float
    x: Scale


def month_name(day: str) -> str:
    """Mar of 2013-03-17; the text itself where it is no date."""
    number = day[5:7]
    return MONTHS[int(number) - 1] if number.isascii() and number.isdigit() and 1 <= int(number) <= 12 else day[:7]


def months_flown(ticks: Sequence[Tick]) -> list[tuple[str, float, float]]:
    """(2013-03, from, to): which replayed month lay where, in seconds since the first request."""
    found = []
    end = 0
    for month, stretch in groupby(ticks, key=lambda tick: tick.flying[:7]):
        span = list(stretch)
        end += len(span)
        found.append((month, span[0].seconds, after(ticks, end - 1)))
    return found


def frame_of(record: Record, width: int, top: float, height: float) -> Frame:
    """Where the record's time runs in a drawing of that width; its names stand in the left margin."""
    left, right = (92.0, width - 12.0) if width > 500 else (80.0, width - 8.0)
    start = record.ticks[0].seconds if record.ticks else 0.0
    end = length(record.ticks)
    return Frame(start, end, left, right, top, top + height, linear(start, end, left, right))


def length(ticks: Sequence[Tick]) -> float:
    """Seconds from the first request to the end of the last tick."""
    return after(ticks, len(ticks) - 1) if ticks else 0.0


def after(ticks: Sequence[Tick], place: int) -> float:
    """When the tick at `place` ends: at the next one, or after its own second."""
    return ticks[place + 1].seconds if place + 1 < len(ticks) else ticks[place].seconds + 1.0


def rows(drawing: Element, frame: Frame, labels: Sequence[tuple[float, str]], y: Scale) -> None:
    """Horizontal lines with their values in the left margin."""
    for value, text in labels:
        add(drawing, "line", x1=frame.left, x2=frame.right, y1=y(value), y2=y(value), class_="row")
        add(drawing, "text", text, x=frame.left - 8, y=y(value) + 4, text_anchor="end")


def time_axis(drawing: Element, frame: Frame, ticks: Sequence[Tick]) -> None:
    """The clock, and under it which month was replayed."""
    base = frame.bottom
    add(drawing, "line", x1=frame.left, x2=frame.right, y1=base, y2=base, class_="axis")
    for seconds in _clock_marks(ticks, (frame.right - frame.left) / 56):
        x = frame.x(seconds)
        add(drawing, "line", x1=x, x2=x, y1=base, y2=base + 4, class_="axis")
        add(drawing, "text", clock(seconds), x=x, y=base + 17, text_anchor="middle")
    add(drawing, "text", "min:s", x=frame.left - 22, y=base + 17, text_anchor="end", class_="unit")
    years = sorted({tick.flying[:4] for tick in ticks if tick.flying})
    add(drawing, "text", NONE.join(years[:: max(1, len(years) - 1)]), x=frame.left - 8, y=base + 36, text_anchor="end")
    for i, (month, start, end) in enumerate(months_flown(ticks)):
        left, right = frame.x(start), frame.x(end)
        add(drawing, "rect", x=left, y=base + 24, width=right - left, height=17, class_=f"month m{i % 2}")
        name = month_name(month)
        if right - left >= 7 * len(name):
            add(drawing, "text", name, x=(left + right) / 2, y=base + 36.5, text_anchor="middle")


def _clock_marks(ticks: Sequence[Tick], most: float) -> list[float]:
    if not ticks:
        return []
    start, end = ticks[0].seconds, length(ticks)
    step = next((s for s in (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600) if (end - start) / s <= most), 7200)
    return [float(s) for s in range(math.ceil(start / step) * step, math.floor(end) + 1, step)]
