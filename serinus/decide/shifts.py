"""What a drift finding says beyond yes and no: how far each distribution moved, and what of it matters to the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from serinus.drift_words import NAMED, ranked, said_of
from serinus.facts import MISSING, UNSEEN, Bins, DriftFinding, Importance, Profile, Shift, Window
from serinus.stats.changepoint import change_point
from serinus.stats.distances import jensen_shannon
from serinus.stats.moments import shift

Part = tuple[datetime, Mapping[str, Mapping[str, int]]]
"""When a stretch of time began, and what was counted in it: by distribution, then by bin."""


def described(
    finding: DriftFinding, profile: Profile, counts: Mapping[str, Mapping[str, int]], importance: Sequence[Importance]
) -> DriftFinding:
    """`finding` with the `shift` of each of its distributions, from the same counts (by name, then by bin).

    importance: what the model's reference says of its features; empty where it does not know. A distribution that the
    profile lacks, or that has no rows on one side, stays without a shift.
    """
    known = {bins.name: bins for bins in (*profile.features, profile.score)}
    shares = _shares(importance)
    return replace(
        finding,
        features=tuple(
            replace(one, shift=_shift(known.get(one.name), counts.get(one.name, {}), shares.get(one.name)))
            for one in finding.features
        ),
    )


def matter(finding: DriftFinding) -> str:
    """What drifted and matters most, in a sentence without an end; "" when nothing did or nothing is known of it."""
    drifted = [one for one in ranked(finding.features) if one.shift is not None]
    said = "; ".join(f"{one.name}: {said_of(one)}" for one in drifted[:NAMED])
    more = len(drifted) - NAMED
    return f"{said}; and {more} more" if more > 0 else said


def _shares(importance: Sequence[Importance]) -> dict[str, tuple[float | None, bool]]:
    """(share of the importance, whether the model uses it at all) by feature. A feature whose shuffling costs nothing
    has none of it; where no feature's does, no share is known.
    """
    total = sum(max(one.drop, 0.0) for one in importance)
    return {one.name: (max(one.drop, 0.0) / total if total > 0 else None, one.moved > 0) for one in importance}


def _shift(bins: Bins | None, counts: Mapping[str, int], weight: tuple[float | None, bool] | None) -> Shift | None:
    if bins is None:
        return None
    current = [counts.get(label, 0) for label in bins.labels()]
    if not sum(bins.counts) or not sum(current):
        return None
    importance, used = weight or (None, True)
    return Shift(
        distance=jensen_shannon(bins.counts, current),
        sd=shift(bins, current),
        largest=_largest(bins, current),
        importance=importance if used else 0.0,
        used=used,
    )


def _largest(bins: Bins, current: Sequence[int]) -> str:
    """The bin whose share of the rows changed most: `JFK 30 % to 51 %`."""
    before, now = sum(bins.counts), sum(current)
    shares = [(old / before, new / now) for old, new in zip(bins.counts, current, strict=True)]
    place = max(range(len(shares)), key=lambda i: abs(shares[i][1] - shares[i][0]))
    old, new = shares[place]
    return f"{_name(bins, place)} {100 * old:.3g} % to {100 * new:.3g} %"


def _name(bins: Bins, place: int) -> str:
    """A bin for people: a category, a stretch of numbers, missing, unseen."""
    label = bins.labels()[place]
    if label in (MISSING, UNSEEN):
        return label
    if bins.kind == "categorical":
        return bins.categories[place]
    ends = ("", *(f"{edge:.4g}" for edge in bins.edges), "")
    low, high = ends[place], ends[place + 1]
    if low and high:
        return f"{low} to {high}"
    return f"over {low}" if low else f"up to {high}" if high else "any value"


def begun(
    finding: DriftFinding, profile: Profile, parts: Sequence[Part], known: DriftFinding | None = None
) -> DriftFinding:
    """`finding` with the most likely beginning of what drifted, where that can be told from the counts of `parts`.

    parts: stretches of time in their order, of whatever lengths; the window's own, and as many before it as could be
    read. known: the finding before it, of the same version: what had drifted then already began when it was said to.
    """
    old = {one.name: one.shift for one in known.features if one.drifted} if known is not None else {}
    profiles = {bins.name: bins for bins in (*profile.features, profile.score)}
    return replace(
        finding,
        features=tuple(
            replace(one, shift=_begun(one.shift, old.get(one.name), profiles[one.name], parts, finding.window))
            if one.shift is not None and one.drifted
            else one
            for one in finding.features
        ),
    )


def _begun(moved: Shift, old: Shift | None, bins: Bins, parts: Sequence[Part], window: Window) -> Shift:
    if old is not None and old.since is not None:
        return replace(moved, since=old.since, earlier=old.earlier)
    blocks = [[counts.get(bins.name, {}).get(label, 0) for label in bins.labels()] for _, counts in parts]
    late = [block for (at, _), block in zip(parts, blocks, strict=True) if at >= window.start]
    after = [sum(column) for column in zip(*late, strict=True)]
    if not sum(after):
        return moved
    place = change_point(bins.counts, blocks, after)
    return replace(moved, since=parts[place][0], earlier=not any(map(sum, blocks[:place])))


def told(finding: DriftFinding) -> DriftFinding:
    """`finding` whose verdict, when it is a violation, also says what matters most."""
    said = matter(finding)
    if finding.verdict.outcome != "fail" or not said:
        return finding
    return replace(finding, verdict=replace(finding.verdict, reason=f"{finding.verdict.reason}; most matters {said}"))
