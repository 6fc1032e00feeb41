"""What the trail says became of a version, and how a version that was made again differs from the first. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter

from serinus.decide.audit import LOOP
from serinus.facts import Code, Deed, Lineage, Papers, Served

_SHOWN = 5  # places in which two JSON files differ that are told


def lineage(papers: Papers, deeds: Sequence[Deed], source: str) -> Lineage:
    """A version's lineage. deeds: its loop's, in any order. source: where they are from, a sentence."""
    version, told = papers.version, sorted(deeds, key=attrgetter("at"))
    approved = [deed.by for deed in told if deed.kind == "Approved" and deed.version == version.number]
    recorded = [record.approved_by for record in papers.rollouts if record.approved_by]
    asked = [d.by for d in told if d.kind == "RunRequested" and d.message.startswith(f"{version.trigger}:")]
    return Lineage(
        papers,
        served(told, version.number),
        approved_by=(recorded or approved or [""])[-1],
        asked_by=asked[0] if asked and asked[0] != LOOP else "",
        source=source,
    )


def served(deeds: Sequence[Deed], version: int) -> tuple[Served, ...]:
    """When `version` got which share of the traffic, by the deeds of its loop, oldest first."""
    found: list[Served] = []
    since: datetime | None = None
    share = 0.0
    for at, shares in _shares(deeds):
        now = shares.get(version, 0.0)
        if now == share:
            continue
        if since is not None and share > 0 and since < at:
            found.append(Served(since, at, share))
        since, share = at, now
    if since is not None and share > 0:
        found.append(Served(since, None, share))
    return tuple(found)


def _shares(deeds: Sequence[Deed]) -> Iterator[tuple[datetime, Mapping[int, float]]]:
    """The shares of traffic from each deed on that moved some."""
    champion: int | None = None
    before: int | None = None
    canary: tuple[int, float] | None = None
    held = 0.0  # what stays with the champion before while the new one is watched
    for deed in deeds:
        if deed.kind in ("RolloutStarted", "StepPassed") and deed.version is not None:
            canary = deed.version, deed.figures.get("weight", 0.0)
        elif deed.kind == "RolledBack" and canary is not None and deed.version == canary[0]:
            canary = None
        elif deed.kind in ("Promoted", "BroughtBack"):
            before, champion, canary, held = champion, deed.version, None, 0.0
        elif deed.kind == "ShareChanged":
            held = 100.0 - deed.figures.get("weight", 100.0)
        elif deed.kind == "WatchEnded":
            held = 0.0
        else:
            continue
        other = canary or (before, held)
        shares = {champion: 100.0 - other[1]} if champion is not None else {}
        yield deed.at, {**shares, **({other[0]: other[1]} if other[0] is not None else {})}


def unlike(expected: Code, found: Code) -> tuple[str, ...]:
    """How what runs here differs from what ran then, in sentences; what is not known of one of them is left out."""
    said = []
    for name, called in _NAMES.items():
        then, now = getattr(expected, name), getattr(found, name)
        if then and now and then != now:
            said.append(f"{called}: {_short(then)} then, {_short(now)} here")
    for what, before, here in (
        ("", expected.packages, found.packages),
        ("kernels of ", expected.kernels, found.kernels),
    ):
        for name in sorted(before.keys() & here.keys()):
            if before[name] != here[name]:
                said.append(f"{what}{name}: {before[name]} then, {here[name]} here")
    return tuple(said)


_NAMES = {
    "release": "release of Serinus",
    "revision": "the code's revision",
    "source": "the code's digest",
    "own": "digest of the loop's own code",
    "lock": "the lock's digest",
    "python": "Python",
}


def differing(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> tuple[str, ...]:
    """Which files of two model directories differ, and where, for those that are JSON; empty when none does."""
    said = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            said.append(f"{name} was not made again")
        elif name not in expected:
            said.append(f"{name} was not there the first time")
        elif expected[name] != found[name]:
            places = list(_places("", json.loads(expected[name]), json.loads(found[name]))) if _json(name) else []
            more = f" and {len(places) - _SHOWN} more places" if len(places) > _SHOWN else ""
            said.append(f"{name} differs{': ' if places else ''}{'; '.join(places[:_SHOWN])}{more}")
    return tuple(said)


def _json(name: str) -> bool:
    return name.endswith(".json")


def _places(where: str, then: object, now: object) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted(then.keys() | now.keys()):
            yield from _places(f"{where}.{key}" if where else key, then.get(key), now.get(key))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _places(f"{where}[{index}]", one, other)
    elif then != now:
        yield f"{where or 'all of it'} was {_short(json.dumps(then))}, is {_short(json.dumps(now))}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:24]}…"
