"""SVG made of the standard library's XML elements, so that text can never become markup; knows no record.

Colours are classes, which the page's style sheet gives their meaning in light and in dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, tostring

Scale = Callable[[float], float]
Point = tuple[float, float]
MINUS, NONE = "\N{MINUS SIGN}", "\N{EN DASH}"  # NONE stands where there is no number


def canvas(width: float, height: float, name: str, title: str, description: str) -> Element:
    """An empty drawing. `name` must be its own on the page: screen readers find title and description by it."""
    drawing = Element("svg", viewBox=f"0 0 {short(width)} {short(height)}", role="img")
    drawing.set("aria-labelledby", f"{name}-title {name}-text")
    add(drawing, "title", title, id=f"{name}-title")
    add(drawing, "desc", description, id=f"{name}-text")
    return drawing


def add(parent: Element, tag: str, content: str = "", /, **attributes: float | str) -> Element:
    """A new child of `parent`: `class_` becomes class, `text_anchor` text-anchor, numbers lose needless digits."""
    child = SubElement(parent, tag)
    for name, value in attributes.items():
        child.set(name.strip("_").replace("_", "-"), value if isinstance(value, str) else short(value))
    if content:
        child.text = content
    return child


def markup(drawing: Element) -> str:
    """The drawing as it stands in an HTML page."""
    return tostring(drawing, encoding="unicode")


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Maps [low, high] to [start, end]; values outside are held at the ends, and so is what is no number."""
    span = (high - low) or 1.0

    def at(value: float) -> float:
        part = (value - low) / span
        return start + (end - start) * (min(max(part, 0.0), 1.0) if not math.isnan(part) else 0.0)

    return at


def marks(low: float, high: float, most: int) -> list[float]:
    """Round numbers in [low, high], at most about `most` of them, in steps of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return []
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def path(points: Iterable[Point]) -> str:
    """A path through the points."""
    return " ".join(f"{'L' if i else 'M'}{short(x)} {short(y)}" for i, (x, y) in enumerate(points))


def stairs(points: Sequence[Point]) -> list[Point]:
    """The points with each height held until the next one."""
    if not points:
        return []
    corners = [points[0]]
    for before, after in pairwise(points):
        if after[1] != before[1]:
            corners += [(after[0], before[1]), after]
    return [*corners, points[-1]]


def boxes(places: Iterable[tuple[float, float, float, float]]) -> str:
    """One path of many rectangles (x, y, width, height): a fraction of the size of as many elements."""
    return "".join(f"M{short(x)} {short(y)}h{short(w)}v{short(h)}h{short(-w)}z" for x, y, w, h in places)


def short(number: float) -> str:
    """A tenth of a pixel is fine enough."""
    text = f"{number:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


# --- figures as people read them -----------------------------------------------------------------------------------


def signed(value: float, digits: int = 3) -> str:
    """+0.047; a dash where there is no number."""
    return f"{value:+.{digits}f}".replace("-", MINUS) if math.isfinite(value) else NONE


def figure(value: float, digits: int = 3) -> str:
    """0.718; a dash where there is no number."""
    return f"{value:.{digits}f}".replace("-", MINUS) if math.isfinite(value) else NONE


def clock(seconds: float) -> str:
    """3:07, minutes and seconds since the first request; what came before it has a minus."""
    if not math.isfinite(seconds):
        return NONE
    whole = int(abs(seconds))
    return f"{MINUS if seconds <= -1 else ''}{whole // 60}:{whole % 60:02d}"


def duration(seconds: float | None) -> str:
    """12 s, 1 min 12 s; a dash where there is none."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 90 else f"{whole // 60} min {whole % 60} s"


def odds(log10: float) -> str:
    """1:302 of 2.48: chance alone would show as much once in 302 times at most."""
    if log10 <= 0 or math.isnan(log10):
        return "1:1"
    return f"1:{10**log10:,.0f}" if log10 < 6 else f"1:10^{int(min(log10, 1e6))}"
