"""How good the answers were, month by month: the loop against January's model, never retrained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from services.demo.plots.axis import month_name
from services.demo.plots.drawing import Point, add, canvas, figure, linear, marks, markup, path, signed
from services.demo.record import Month, Record

FIRST, LAST = 3, 10  # March to October: the months that the promise is about
_TOP, _BOTTOM = 26.0, 230.0


def counted(months: Sequence[Month]) -> list[Month]:
    """The months that the mean is over: March to October, where both figures are known."""
    chosen = (m for m in months if m.month[5:7].isdigit() and FIRST <= int(m.month[5:7]) <= LAST)
    return [m for m in chosen if math.isfinite(m.loop) and math.isfinite(m.frozen)]


def quality(record: Record, width: int) -> str:
    """Two lines by month with the difference above them; a bracket over the months that the mean is of."""
    months = record.months
    words = "; ".join(f"{m.month}: loop {figure(m.loop)}, never retrained {figure(m.frozen)}" for m in months)
    drawing = canvas(width, _BOTTOM + 50, f"quality{width}", "Quality by month", words or "No month was replayed.")
    left, right = (92.0, width - 12.0) if width > 500 else (38.0, width - 4.0)
    values = [v for m in months for v in (m.loop, m.frozen) if math.isfinite(v)]
    low, high = (min(values) - 0.012, max(values) + 0.018) if values else (0.5, 1.0)
    y = linear(low, high, _BOTTOM, _TOP)
    for value in marks(low, high, 5):
        add(drawing, "line", x1=left, x2=right, y1=y(value), y2=y(value), class_="row")
        add(drawing, "text", f"{value:.2f}", x=left - 8, y=y(value) + 4, text_anchor="end")
    add(drawing, "line", x1=left, x2=right, y1=_BOTTOM, y2=_BOTTOM, class_="axis")
    step = (right - left) / max(len(months), 1)
    places = [left + step * (i + 0.5) for i in range(len(months))]
    whole = [(x, m) for x, m in zip(places, months, strict=True) if math.isfinite(m.loop) and math.isfinite(m.frozen)]
    frozen = [(x, y(m.frozen)) for x, m in whole]
    loop = [(x, y(m.loop)) for x, m in whole]
    if whole:
        add(drawing, "path", d=path([*loop, *reversed(frozen)]) + "z", class_="gap")
    _series(drawing, frozen, "frozen", "never retrained", [m.frozen for _, m in whole])
    _series(drawing, loop, "loop", "the loop", [m.loop for _, m in whole])
    for x, month in whole:
        top = y(max(month.loop, month.frozen)) - 10
        gain = signed(month.loop - month.frozen)
        # Months beside each other on a telephone leave no room for the zero that everyone knows.
        text, kind = (gain, "gain") if step >= 48 else (gain.replace("0.", ".", 1), "gain small")
        add(drawing, "text", text, x=x, y=top, text_anchor="middle", class_=kind)
    for x, month in zip(places, months, strict=True):
        add(drawing, "text", month_name(month.month), x=x, y=_BOTTOM + 17, text_anchor="middle")
    _bracket(drawing, [x for x, m in zip(places, months, strict=True) if m in counted(months)], step, record)
    return markup(drawing)


def mean_gain(months: Sequence[Month]) -> float:
    """How much better the loop was, in AUC: the mean over the counted months, NaN when there is none."""
    chosen = counted(months)
    return sum(m.loop - m.frozen for m in chosen) / len(chosen) if chosen else math.nan


def _series(drawing: Element, points: Sequence[Point], kind: str, name: str, values: Sequence[float]) -> None:
    group = add(drawing, "g", class_=kind)
    if points:
        add(group, "path", d=path(points), class_="curve")
    for (x, y), value in zip(points, values, strict=True):
        dot = add(group, "circle", cx=x, cy=y, r=4.5)
        add(dot, "title", f"{name}: {figure(value)}")


def _bracket(drawing: Element, places: Sequence[float], step: float, record: Record) -> None:
    if not places:
        return
    start, end, y = places[0] - 0.42 * step, places[-1] + 0.42 * step, _BOTTOM + 26
    add(drawing, "path", d=path([(start, y), (start, y + 5), (end, y + 5), (end, y)]), class_="bracket")
    months = counted(record.months)
    names = f"{month_name(months[0].month)} to {month_name(months[-1].month)}"
    words = f"mean {names}: {signed(mean_gain(months))}"
    add(drawing, "text", words, x=(start + end) / 2, y=y + 20, text_anchor="middle", class_="mean")
