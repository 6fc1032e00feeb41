"""What labels said of each version: its AUC by windows of the demo, with intervals."""

from __future__ import annotations

import math

from services.demo.plots.axis import HEIGHT, frame_of, rows, time_axis
from services.demo.plots.drawing import add, canvas, clock, figure, linear, marks, markup
from services.demo.plots.traffic import colour, versions
from services.demo.record import Judged, Record

_TOP, _TALL = 14.0, 190.0


def judged(record: Record, width: int) -> str:
    """A bar for each version and window, from the interval's low to its high, with a tick at the figure itself."""
    found = record.judged
    words = "; ".join(f"{clock(j.start)} version {j.version}: {figure(j.auc)}" for j in found)
    drawing = canvas(width, _TOP + _TALL + HEIGHT, f"judged{width}", "AUC by version, as labels came", words or "None.")
    frame = frame_of(record, width, _TOP, _TALL)
    low = min((j.low for j in found), default=0.5) - 0.01
    high = max((j.high for j in found), default=1.0) + 0.01
    y = linear(low, high, frame.bottom, frame.top)
    rows(drawing, frame, [(value, f"{value:.2f}") for value in marks(low, high, 5)], y)
    known = versions(record)
    for one in found:
        group = add(drawing, "g", class_=f"judged {colour(one.version, known)}")
        left, right = _span(found, one)
        x, end = frame.x(left), frame.x(right)
        bar = add(group, "rect", x=x + 0.5, y=y(one.high), width=max(end - x - 1, 1), height=y(one.low) - y(one.high))
        add(
            bar, "title",
            f"version {one.version}, {clock(one.start)}: {figure(one.auc)} ({figure(one.low)} to {figure(one.high)}),"
            f" {one.labelled:,} of {one.rows:,} flights labelled",
        )  # fmt: skip
        add(group, "path", d=f"M{x + 0.5:.1f} {y(one.auc):.1f}H{max(end - 0.5, x + 1.5):.1f}", class_="middle")
    time_axis(drawing, frame, record.ticks)
    return markup(drawing)


def total_worth(record: Record) -> tuple[float, float] | None:
    """What all answers were worth, of the loop and of January's model; None where nobody said it."""
    sums = sum(m.worth for m in record.months), sum(m.worth_frozen for m in record.months)
    return sums if record.months and all(map(math.isfinite, sums)) else None


def _span(found: tuple[Judged, ...], one: Judged) -> tuple[float, float]:
    """Versions of one window stand beside each other."""
    together = [j.version for j in found if j.start == one.start]
    share = (one.end - one.start) / len(together)
    left = one.start + share * together.index(one.version)
    return left, left + share
