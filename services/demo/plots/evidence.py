"""What the judge knew of one canary, from its first traffic to its end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element

from services.demo.plots.drawing import Point, Scale, add, boxes, canvas, linear, marks, markup, odds, path
from services.demo.record import Candidate, Record, Tick

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 340.0, 92.0, 258.0, 12.0, 138.0
_COLOURS = 5  # of page.css: as many as a spec's guardrails, unless a user brings more
_LOWEST = -1.0  # below it the evidence is for the canary; how much does not matter here
_WORDS = {"pass": "not worse", "fail": "worse", "undecided": "undecided", "error": "not seen"}


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


def last_verdict(name: str, ticks: Sequence[Tick], candidate: Candidate | None) -> str:
    """The outcome of one guardrail at the end.

    The look that ends a rollout leaves no tick behind it, so the sentence that it gave says which guardrails decided:
    all that it names failed when the canary was thrown back, and passed when it was promoted.
    """
    decided = {"promoted": "pass", "rolled-back": "fail"}.get(candidate.outcome) if candidate else None
    if candidate and decided and re.search(rf"\b{re.escape(name)}:", candidate.reason):
        return decided
    return next((tick.verdicts[name] for tick in reversed(ticks) if name in tick.verdicts), "undecided")


def evidence(record: Record, version: int, ticks: Sequence[Tick]) -> str:
    """log10 of the evidence of harm by guardrail against the lines that roll back; below it the verdicts."""
    names = guardrails(ticks)
    candidate = next((c for c in record.candidates if c.version == version), None)
    start, limits = ticks[0].seconds, record.limits
    ended = candidate.ended if candidate and candidate.ended is not None else ticks[-1].seconds
    # A rollout that ends at once still shows where it began and where it ended.
    span = max(ended, ticks[-1].seconds, start + 1) - start
    x = linear(start, start + span, _LEFT, _RIGHT)
    finite = [min(value, 300.0) for tick in ticks for value in tick.harm.values()]
    high = max(1.35 * max(limits.values(), default=0.0), 1.08 * max(finite, default=0.0), 0.5)
    y = linear(_LOWEST, high, _BOTTOM, _TOP)
    height = _BOTTOM + 32 + 18 * len(names)
    words = _describe(record, ticks, names, candidate)
    drawing = canvas(_WIDTH, height, f"evidence{version}", f"Evidence against version {version}", words)
    _grid(drawing, y, high)
    _limits(drawing, y, limits)
    for i, name in enumerate(names):
        values = [(tick.seconds, tick.harm[name]) for tick in ticks if name in tick.harm]
        verdict = last_verdict(name, ticks, candidate)
        group = add(drawing, "g", class_=f"g{i % _COLOURS}")
        _curve(group, name, [(x(s), y(v)) for s, v in values])
        if verdict == "fail" and values:
            _crossing(group, (x(values[-1][0]), y(values[-1][1])), (x(ended), min(y(values[-1][1]), y(limits[name]))))
        _strip(drawing, name, ticks, x, _BOTTOM + 28 + 18 * i, f"g{i % _COLOURS}", verdict)
    for age in marks(0.0, span, 4):
        add(drawing, "text", f"{age:g} s", x=x(start + age), y=_BOTTOM + 17, text_anchor="middle")
    return markup(drawing)


def _grid(drawing: Element, y: Scale, high: float) -> None:
    every = next((step for step in (1, 2, 5, 10, 25) if high / step <= 5), 100)
    for power in range(0, int(high) + 1, every):
        add(drawing, "line", x1=_LEFT, x2=_RIGHT, y1=y(power), y2=y(power), class_="row")
        add(drawing, "text", odds(power), x=_LEFT - 8, y=y(power) + 4, text_anchor="end")
    add(drawing, "line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="axis")


def told(limits: Mapping[str, float]) -> list[tuple[float, str]]:
    """Every limit, the lowest first, as odds; with the guardrail's name where it is that of one among several."""
    said = []
    for limit in sorted(set(limits.values())):
        names = [name for name in limits if limits[name] == limit]
        alone = len(names) == 1 < len(limits)
        said.append((limit, f"{odds(limit)} {names[0]}" if alone else odds(limit)))
    return said


def named(limits: Mapping[str, float]) -> str:
    """The limits in a sentence."""
    return " or ".join(said for _, said in told(limits))


def _limits(drawing: Element, y: Scale, limits: Mapping[str, float]) -> None:
    for limit, said in told(limits):
        add(drawing, "line", x1=_LEFT, x2=_RIGHT, y1=y(limit), y2=y(limit), class_="limit")
        add(drawing, "text", said, x=_RIGHT + 10, y=y(limit) + 1, class_="limit-text")
    if limits:
        lowest = y(min(limits.values()))
        add(drawing, "text", "thrown back", x=_RIGHT + 10, y=lowest + 14, class_="limit-text small")


def _curve(group: Element, name: str, points: Sequence[Point]) -> None:
    add(group, "title", name)
    if points:
        add(group, "path", d=path(points), class_="evidence")
        add(group, "circle", cx=points[-1][0], cy=points[-1][1], r=2.6, class_="end")


def _crossing(group: Element, last: Point, end: Point) -> None:
    """The last look, of which only its verdict is known: a thin line to a cross on the limit or above it."""
    x, y = end
    add(group, "path", d=path([last, end]), class_="last-look")
    add(group, "path", d=path([(x - 4, y - 4), (x + 4, y + 4), (x, y), (x - 4, y + 4), (x + 4, y - 4)]), class_="cross")


def _strip(drawing: Element, name: str, ticks: Sequence[Tick], x: Scale, y: float, kind: str, verdict: str) -> None:
    """The guardrail's verdicts over time and the last one in words; its name is the legend of its curve too."""
    row = add(drawing, "g", class_=kind)
    add(row, "text", name if len(name) <= 10 else f"{name[:9]}…", x=_LEFT - 26, y=y + 10.5, text_anchor="end")
    add(row, "line", x1=_LEFT - 22, x2=_LEFT - 5, y1=y + 6.5, y2=y + 6.5, class_="key")
    begin = 0
    for outcome, stretch in groupby(ticks, key=lambda tick: tick.verdicts.get(name, "")):
        left = x(ticks[begin].seconds)
        begin += len(list(stretch))
        right = x(ticks[begin].seconds) if begin < len(ticks) else _RIGHT
        if outcome and right > left:
            cell = add(drawing, "g", class_=f"verdict {outcome}")
            add(cell, "title", f"{name}: {_WORDS.get(outcome, outcome)}")
            add(cell, "path", d=boxes([(left, y + 1, right - left, 11)]))
    said = add(drawing, "g", class_=f"verdict {verdict}")
    glyph = {"pass": "✓ ", "fail": "✕ "}.get(verdict, "")
    add(said, "text", glyph + _WORDS.get(verdict, verdict), x=_RIGHT + 10, y=y + 10.5)


def _describe(record: Record, ticks: Sequence[Tick], names: Sequence[str], candidate: Candidate | None) -> str:
    verdicts = [f"{n} {_WORDS.get(v := last_verdict(n, ticks, candidate), v)}" for n in names]
    outcome = candidate.outcome if candidate else "under way"
    ended = ", ".join(verdicts) or "nothing was seen"
    return f"At the end: {ended}. Evidence of {named(record.limits)} rolls back. Outcome: {outcome}."
