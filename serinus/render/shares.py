"""Who gets which share of the traffic, of those that are ready: the one rule of every router."""

from __future__ import annotations

from collections.abc import Iterable

from serinus.facts import Routing


def shares(routing: Routing, ready: Iterable[int]) -> dict[int, int]:
    """Whole percents that sum to 100, over the variants of `routing` that are ready; empty when none is.

    The share of a variant that is not ready goes to the others in proportion to theirs. When all that has a share is
    away, the oldest of the ready ones, proven the longest, takes everything. Who gets copies answers nobody.
    """
    there = set(ready)
    weights = {v.version: v.weight for v in routing.variants if v.version in there and not v.mirror}
    positive = {version: weight for version, weight in weights.items() if weight > 0}
    if not positive:
        return {min(weights): 100} if weights else {}
    whole = sum(positive.values())
    floors = {version: 100 * weight // whole for version, weight in positive.items()}
    # Largest remainders first; among equals the older version.
    order = sorted(positive, key=lambda version: (-(100 * positive[version] % whole), version))
    for version in order[: 100 - sum(floors.values())]:
        floors[version] += 1
    return {version: floors[version] for version in sorted(floors) if floors[version] > 0}


def preference(routing: Routing, ready: Iterable[int]) -> list[int]:
    """The ready variants of `routing`, the one to fall back on first: by share, then the older one."""
    there = {v.version for v in routing.variants if not v.mirror}.intersection(ready)
    return [v.version for v in sorted(routing.variants, key=lambda v: (-v.weight, v.version)) if v.version in there]


def copies(routing: Routing, ready: Iterable[int]) -> dict[int, int]:
    """Who gets copies of requests now, of those that are ready: version -> whole percent of the requests."""
    found = routing.mirrored
    return {found.version: found.mirror} if found is not None and found.version in set(ready) else {}
