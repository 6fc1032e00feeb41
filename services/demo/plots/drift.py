"""Which features drifted, and when."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element

from services.demo.plots.axis import HEIGHT, Frame, frame_of, length, time_axis
from services.demo.plots.drawing import Point, add, boxes, canvas, markup, short
from services.demo.record import Record, Tick

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.4)  # PSI at which a cell of the heat map gets darker
_COLUMNS = 160  # of the heat map; a finer grain is not seen


def features(ticks: Sequence[Tick]) -> list[str]:
    """The features, the one that drifted furthest first."""
    peaks: dict[str, float] = {}
    for tick in ticks:
        for name, value in tick.psi.items():
            peaks[name] = max(peaks.get(name, 0.0), value)
    return sorted(peaks, key=lambda name: (-peaks[name], name))


def level(psi: float) -> int:
    """How dark a cell is: 0 to len(LEVELS)."""
    return sum(psi >= bound for bound in LEVELS)


def drift(record: Record, width: int) -> str:
    """How far each feature's live rows were from the training rows: a heat map, violations dotted."""
    names = features(record.ticks)
    frame = frame_of(record, width, top=20, height=20.0 * max(len(names), 1))
    drawing = canvas(width, frame.bottom + HEIGHT, f"drift{width}", "Drift by feature", _drift_words(record, names))
    shown = _thinned(record.ticks)
    cells: dict[int, list[tuple[float, float, float, float]]] = {}
    dots: list[Point] = []
    for row, name in enumerate(names):
        y = frame.top + 20.0 * row
        text = name if len(name) <= 13 else f"{name[:12]}…"
        add(drawing, "text", text, x=frame.left - 8, y=y + 14, text_anchor="end")
        for dark, start, end, violated in _stretches(shown, name, frame):
            cells.setdefault(dark, []).append((start, y + 1, end - start, 18))
            if violated:
                count = max(1, int((end - start) // 6))
                dots += [(start + (end - start) * (i + 0.5) / count, y + 10) for i in range(count)]
    for dark, places in sorted(cells.items()):
        add(drawing, "path", d=boxes(places), class_=f"h{dark}")
    if dots:
        add(drawing, "path", d="".join(f"M{short(x)} {short(y)}h.01" for x, y in dots), class_="dots")
    _takeovers(drawing, frame, record)
    time_axis(drawing, frame, record.ticks)
    return markup(drawing)


def _takeovers(drawing: Element, frame: Frame, record: Record) -> None:
    """Where another version took over, from where on its own training rows are what is compared with."""
    reach = -math.inf
    for seconds, event in record.events:
        if event.kind in ("Promoted", "BroughtBack") and event.version and frame.start <= seconds <= frame.end:
            x = frame.x(seconds)
            mark = add(drawing, "g", class_="lane Promoted")
            add(mark, "line", x1=x, x2=x, y1=frame.top - 4, y2=frame.bottom, class_="drop over")
            if x > reach:
                add(mark, "text", f"v{event.version}", x=x, y=frame.top - 8, text_anchor="middle")
                reach = x + 26


def _thinned(ticks: Sequence[Tick]) -> list[Tick]:
    every = max(1, math.ceil(len(ticks) / _COLUMNS))
    return list(ticks[::every])


def _stretches(ticks: Sequence[Tick], name: str, frame: Frame) -> Iterator[tuple[int, float, float, bool]]:
    """Runs of equal darkness: (level, from x, to x, in violation); nothing where there is no finding."""

    def look(i: int) -> tuple[int, bool] | None:
        value = ticks[i].psi.get(name)
        return None if value is None else (level(value), name in ticks[i].drifted)

    for found, places in groupby(range(len(ticks)), key=look):
        span = list(places)
        if found is not None:
            end = ticks[span[-1] + 1].seconds if span[-1] + 1 < len(ticks) else length(ticks)
            yield (
                found[0],
                frame.x(ticks[span[0]].seconds),
                max(frame.x(end), frame.x(ticks[span[0]].seconds)),
                found[1],
            )


def _drift_words(record: Record, names: Sequence[str]) -> str:
    violated = [n for n in names if any(n in tick.drifted for tick in record.ticks)]
    return f"A heat map of {len(names)} features over time. In violation at some time: {', '.join(violated) or 'none'}."
