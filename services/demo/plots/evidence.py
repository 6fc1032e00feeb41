"""What the judge knew of one canary, from its first traffic to its end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.etree.ElementTree import Element

from services.demo.plots.drawing import Point, Scale, add, canvas, linear, marks, markup, odds, path, short
from services.demo.record import Candidate, Record, Tick

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 340.0, 72.0, 330.0, 12.0, 138.0
_LOWEST = -1.0  # below it the evidence is for the canary, how much does not matter here
_WORDS = {"pass": "not worse", "fail": "worse", "undecided": "undecided", "error": "could not look"}


def rollouts(record: Record) -> list[tuple[int, list[Tick]]]:
    """Every canary that the judge looked at, with its ticks, in the order of their first traffic."""
    found: dict[int, list[Tick]] = {}
    for tick in record.ticks:
        if tick.canary is not None:
            found.setdefault(tick.canary, []).append(tick)
    judged = {c.version for c in record.candidates}
    return [(v, ticks) for v, ticks in found.items() if v in judged or any(tick.harm for tick in ticks)]


def guardrails(ticks: Sequence[Tick]) -> list[str]:
    """The guardrails of these ticks by name."""
    return sorted({name for tick in ticks for name in (*tick.harm, *tick.verdicts)})


def evidence(record: Record, version: int, ticks: Sequence[Tick]) -> str:
    """log10 of the evidence of harm by guardrail against the line that rolls back; below it the verdicts."""
    names = guardrails(ticks)
    # A rollout that ends at once still shows where it began and where it ended.
    span = max(ticks[-1].seconds - ticks[0].seconds, 1.0)
    x = linear(ticks[0].seconds, ticks[0].seconds + span, _LEFT, _RIGHT)
    limit = record.guardrail_threshold
    finite = [min(value, 300.0) for tick in ticks for value in tick.harm.values()]
    high = max(1.35 * limit, 1.08 * max(finite, default=0.0), 0.5)
    y = linear(_LOWEST, high, _BOTTOM, _TOP)
    candidate = next((c for c in record.candidates if c.version == version), None)
    height = _BOTTOM + 36 + 18 * len(names)
    title = f"Evidence against version {version}"
    drawing = canvas(_WIDTH, height, f"evidence{version}", title, _describe(record, ticks, names, candidate))
    _grid(drawing, y, high)
    _limit(drawing, y(limit), limit)
    for i, name in enumerate(names):
        values = [(tick.seconds, tick.harm[name]) for tick in ticks if name in tick.harm]
        _curve(drawing, name, [(x(s), y(v)) for s, v in values], f"g{i % 3}")
        _strip(drawing, name, ticks, x, _BOTTOM + 30 + 18 * i, f"g{i % 3}")
    for age in marks(0.0, span, 5):
        at = x(ticks[0].seconds + age)
        add(drawing, "text", f"{age:g} s", x=at, y=_BOTTOM + 17, text_anchor="middle" if age else "start")
    return markup(drawing)


def _grid(drawing: Element, y: Scale, high: float) -> None:
    every = next(step for step in (1, 2, 5, 10, 25, 50, 100) if high / step <= 5)
    for power in range(0, int(high) + 1, every):
        add(drawing, "line", x1=_LEFT, x2=_RIGHT, y1=y(power), y2=y(power), class_="row")
        add(drawing, "text", odds(power), x=_LEFT - 8, y=y(power) + 4, text_anchor="end")
    add(drawing, "line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="axis")


def _limit(drawing: Element, y: float, limit: float) -> None:
    add(drawing, "line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="limit")
    words = f"thrown back at {odds(limit)}"
    add(drawing, "text", words, x=_LEFT + 4, y=y - 5, class_="limit-text")


def _curve(drawing: Element, name: str, points: Sequence[Point], kind: str) -> None:
    if not points:
        return
    group = add(drawing, "g", class_=kind)
    add(group, "title", name)
    add(group, "path", d=path(points), class_="evidence")
    add(group, "circle", cx=points[-1][0], cy=points[-1][1], r=3, class_="end")


def _strip(drawing: Element, name: str, ticks: Sequence[Tick], x: Scale, y: float, kind: str) -> None:
    """The guardrail's verdict at every moment, as a strip; its name is the legend of its curve too."""
    row = add(drawing, "g", class_=kind)
    add(row, "text", name if len(name) <= 10 else f"{name[:9]}…", x=_LEFT - 8, y=y + 10, text_anchor="end")
    add(row, "line", x1=_LEFT - 6, x2=_LEFT - 6, y1=y + 1, y2=y + 12, class_="key")
    end = 0
    for outcome, stretch in groupby(ticks, key=lambda tick: tick.verdicts.get(name, "")):
        span = list(stretch)
        end += len(span)
        stop = ticks[end].seconds if end < len(ticks) else ticks[-1].seconds
        left, right = x(span[0].seconds), x(stop)
        if not outcome or right <= left:
            continue
        cell = add(drawing, "g", class_=f"verdict {outcome}")
        add(cell, "title", f"{name}: {_WORDS.get(outcome, outcome)}")
        add(cell, "path", d=f"M{short(left)} {short(y)}h{short(right - left)}v13h{short(left - right)}z")
        words = _WORDS.get(outcome, outcome)
        if right - left >= 7 * len(words):
            add(cell, "text", words, x=(left + right) / 2, y=y + 10.5, text_anchor="middle")


def _describe(record: Record, ticks: Sequence[Tick], names: Sequence[str], candidate: Candidate | None) -> str:
    peaks = [f"{n} {odds(max((t.harm[n] for t in ticks if n in t.harm), default=0.0))}" for n in names]
    outcome = candidate.outcome if candidate else "under way"
    limit = odds(record.guardrail_threshold)
    return f"Largest evidence of harm: {', '.join(peaks) or 'none'}; {limit} rolls back. Outcome: {outcome}."
