"""What a person sees of a demo that is over: a table in the terminal and one self-contained HTML page.

Both show the record and decide nothing. Neither the page nor its plots fetch anything from elsewhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.demo.plots.axis import month_name, months_flown
from services.demo.plots.drawing import NONE, clock, duration, figure, odds, signed
from services.demo.plots.drift import LEVELS, drift, features
from services.demo.plots.evidence import evidence, guardrails, last_verdict, named, rollouts
from services.demo.plots.judged import judged, total_worth
from services.demo.plots.quality import counted, mean_gain, quality
from services.demo.plots.requests import requests
from services.demo.plots.traffic import colour, phases, traffic, versions
from services.demo.record import Candidate, Record, Tick

if TYPE_CHECKING:
    import jinja2
    from rich.console import RenderableType
    from rich.table import Table

WIDE, NARROW = 1000, 360  # pixels of the plots on a desk's screen and on a telephone's
CAUSES = {
    "drift": "drift",
    "quality": "falling quality",
    "data": "new data",
    "manual": "a person",
    "schedule": "the schedule",
}
FAULTS = {"errors": "fails on some requests", "slow": "answers slowly"}


# --- the terminal --------------------------------------------------------------------------------------------------


def table(record: Record) -> RenderableType:
    """Quality by month, the candidates and what became of them, the requests, and which promises were kept."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    # Text, not strings: a reason may hold brackets that rich would take for its own markup.
    why = [
        Padding(Text("\n".join([f"version {c.version}: {c.outcome}", *reasons(c)])), (0, 0, 1, 2))
        for c in record.candidates
        if c.reason
    ]
    figures = [Text(f"  {name:<16} {value}") for name, value in _summary(record)]
    if record.missed:
        verdict = [Text("Not all promises were kept:", "bold red"), *(Text(f"  {said}") for said in record.missed)]
    else:
        verdict = [Text("All promises were kept.", "bold green")]
    parts: list[RenderableType] = [_months_table(record), _candidates_table(record), *why, *figures, "", *verdict]
    return Group(*parts)


def _months_table(record: Record) -> Table:
    made = _table("Quality by month, ROC AUC", ["month"], ["flights", "never retrained", "the loop", "difference"])
    for month in record.months:
        gain = signed(month.loop - month.frozen)
        made.add_row(month.month, f"{month.rows:,}", figure(month.frozen), figure(month.loop), gain)
    made.add_section()
    frozen, loop = means(record)
    made.add_row("mean Mar-Oct", "", figure(frozen), figure(loop), signed(mean_gain(record.months)), style="bold")
    return made


def _candidates_table(record: Record) -> Table:
    from rich.text import Text

    styles = {"promoted": "green", "rolled-back": "red"}
    figures = ["to traffic", "to end", "bad answers"]
    made = _table("Candidates: from asking to traffic, from traffic to the end", ["version", "by", "outcome"], figures)
    for c in record.candidates:
        made.add_row(
            str(c.version),
            Text(f"broken: {c.fault}" if c.fault else CAUSES.get(c.cause, c.cause)),
            Text(c.outcome, styles.get(c.outcome, "")),
            duration(to_traffic(c)),
            duration(in_traffic(c)),
            f"{c.bad:,} of {c.answers:,}",
        )
    return made


def _table(title: str, words: list[str], numbers: list[str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(title, "bold"), title_justify="left", box=box.SIMPLE)
    for name in (*words, *numbers):
        made.add_column(name, justify="left" if name in words else "right")
    return made


def _summary(record: Record) -> list[tuple[str, str]]:
    worth = total_worth(record)
    gained = (
        [("worth of answers", f"{worth[0]:,.0f} {record.unit}, {worth[1]:,.0f} if never retrained")] if worth else []
    )
    return [
        *gained,
        ("requests", f"{record.requests:,} with {record.rows:,} flights"),
        ("failed", f"{record.failed:,}"),
        ("injected errors", f"{record.injected:,} (the broken canary's own: the evidence against it)"),
        ("answered within", f"{milliseconds(record.p50)} (median), {milliseconds(record.p99)} (99 of 100)"),
    ]


# --- the page ------------------------------------------------------------------------------------------------------


def write(record: Record, file: Path) -> None:
    """Write the page to `file`, whole or not at all, making its folder when there is none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.tmp")
    temporary.write_text(page(record), encoding="utf-8")
    temporary.replace(file)


def page(record: Record) -> str:
    """The page as text; the same record gives the same page."""
    frozen, loop = means(record)
    known = versions(record)
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            record=record,
            first=known[0] if known else 1,
            length=duration(record.ticks[-1].seconds + 1 if record.ticks else None),
            stretch=_stretch(record),
            frozen=frozen,
            retrained=loop,
            gain=mean_gain(record.months),
            counted=[month_name(m.month) for m in counted(record.months)],
            promoted=[c for c in record.candidates if c.outcome == "promoted"],
            thrown=[c for c in record.candidates if c.outcome == "rolled-back"],
            slowest=_longest(to_traffic(c) for c in record.candidates if c.cause == "drift"),
            exposed=_longest(in_traffic(c) for c in record.candidates if c.outcome == "rolled-back"),
            plots={
                name: [(size, draw(record, width)) for size, width in (("wide", WIDE), ("narrow", NARROW))]
                for name, draw in {
                    "traffic": traffic,
                    "drift": drift,
                    "quality": quality,
                    "judged": judged,
                    "requests": requests,
                }.items()
            },
            legend=[{"version": v, "colour": colour(v, known), "broken": _fault(record, v)} for v in known],
            phases=phases(record.ticks),
            rollouts=list(_rollouts(record)),
            levels=LEVELS,
            bound=_psi_bound(record),
            drifts=list(_drifts(record)),
            rates=list(_rates(record)),
            days=_days(record),
            worth=total_worth(record),
            every=record.judged[0].end - record.judged[0].start if record.judged else 0.0,
            limit=named(record.limits),
        )
    )


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"figure": figure, "signed": signed, "clock": clock, "duration": duration, "ms": milliseconds}
    made.filters |= {"cause": lambda c: CAUSES.get(c, c), "fault": lambda f: FAULTS.get(f, f), "month": month_name}
    made.globals |= {"to_traffic": to_traffic, "in_traffic": in_traffic, "reasons": reasons}
    return made


# --- figures that both show ----------------------------------------------------------------------------------------


def to_traffic(candidate: Candidate) -> float | None:
    """Seconds from asking for its run to its first request."""
    return None if candidate.first_traffic is None else candidate.first_traffic - candidate.started


def in_traffic(candidate: Candidate) -> float | None:
    """Seconds from its first request to its promotion or its being thrown back."""
    if candidate.first_traffic is None or candidate.ended is None:
        return None
    return candidate.ended - candidate.first_traffic


def reasons(candidate: Candidate) -> list[str]:
    """Why it was promoted or thrown back, one sentence a guardrail; a dash where nothing was said.

    The event's message begins with what happened to the version, which stands beside it already.
    """
    said = re.sub(rf"^version {candidate.version} [^:;]*: ", "", candidate.reason)
    return said.split("; ") if said else [NONE]


def means(record: Record) -> tuple[float, float]:
    """The mean AUC from March to October, of January's model and of the loop; NaN when there is no such month."""
    months = counted(record.months)
    if not months:
        return math.nan, math.nan
    return sum(m.frozen for m in months) / len(months), sum(m.loop for m in months) / len(months)


def _longest(times: Iterable[float | None]) -> float | None:
    return max((t for t in times if t is not None and math.isfinite(t)), default=None)


def milliseconds(seconds: float) -> str:
    """8.1 ms; a dash where there is no number."""
    return f"{figure(1000 * seconds, 1 if seconds < 0.1 else 0)} ms" if math.isfinite(seconds) else figure(seconds)


def _fault(record: Record, version: int) -> str:
    return next((c.fault for c in record.candidates if c.version == version), "")


def _stretch(record: Record) -> str:
    """1 February to 31 October 2013: the days that were replayed."""
    try:
        days = [date.fromisoformat(record.ticks[i].flying[:10]) for i in (0, -1)]
    except (IndexError, ValueError):
        return ""
    first, last = (f"{day.day} {day:%B}" for day in days)
    year = "" if days[0].year == days[1].year else f" {days[0].year}"
    return f"{first}{year} to {last} {days[1].year}"


def _days(record: Record) -> Mapping[int, str]:
    """Second -> replayed day, for the event log."""
    return {int(tick.seconds): tick.flying for tick in record.ticks}


def _psi_bound(record: Record) -> float | None:
    """The PSI at which a feature counts as drifted, as the drift job reported it."""
    return next((e.figures["psi_bound"] for _, e in reversed(record.events) if "psi_bound" in e.figures), None)


def _rollouts(record: Record) -> Iterator[dict[str, Any]]:
    candidates = {c.version: c for c in record.candidates}
    for version, ticks in rollouts(record):
        yield {
            "version": version,
            "candidate": candidates.get(version),
            "plot": evidence(record, version, ticks),
            "guardrails": [_guardrail(name, ticks, candidates.get(version)) for name in guardrails(ticks)],
        }


def _guardrail(name: str, ticks: list[Tick], candidate: Candidate | None) -> dict[str, str]:
    """The largest evidence against a canary that a tick saw, and the last verdict."""
    peak = max((tick.harm[name] for tick in ticks if name in tick.harm), default=0.0)
    return {"name": name, "peak": odds(peak) if peak > 0 else "none", "verdict": last_verdict(name, ticks, candidate)}


def _drifts(record: Record) -> Iterator[dict[str, Any]]:
    for name in features(record.ticks):
        peak = max((t for t in record.ticks if name in t.psi), key=lambda t: t.psi[name])
        violated = sum(name in tick.drifted for tick in record.ticks)
        yield {"name": name, "peak": peak.psi[name], "at": peak.seconds, "day": peak.flying, "violated": violated}


def _rates(record: Record) -> Iterator[dict[str, Any]]:
    for month, start, end in months_flown(record.ticks):
        there = [tick.requests for tick in record.ticks if start <= tick.seconds < end]
        yield {"month": month, "requests": sum(there), "rate": sum(there) / len(there) if there else math.nan}
