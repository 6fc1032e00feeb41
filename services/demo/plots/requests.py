"""How many requests were answered each second."""

from __future__ import annotations

from services.demo.plots.axis import HEIGHT, frame_of, length, rows, time_axis
from services.demo.plots.drawing import add, canvas, clock, linear, marks, markup, path
from services.demo.record import Record


def requests(record: Record, width: int) -> str:
    """Answers a second."""
    most = max((tick.requests for tick in record.ticks), default=0)
    frame = frame_of(record, width, top=10, height=110)
    words = f"{record.requests:,} requests in {clock(length(record.ticks))} minutes; {record.failed:,} of them failed."
    drawing = canvas(width, frame.bottom + HEIGHT, f"requests{width}", "Requests per second", words)
    y = linear(0, max(most * 1.1, 1), frame.bottom, frame.top)
    rows(drawing, frame, [(m, f"{m:g}") for m in marks(0, max(most * 1.1, 1), 4)], y)
    points = [(frame.x(tick.seconds), y(tick.requests)) for tick in record.ticks]
    if points:
        area = [(points[0][0], frame.bottom), *points, (points[-1][0], frame.bottom)]
        add(drawing, "path", d=path(area) + "z", class_="under")
        add(drawing, "path", d=path(points), class_="answers")
    time_axis(drawing, frame, record.ticks)
    return markup(drawing)
