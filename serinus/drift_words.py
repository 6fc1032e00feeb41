"""How far a distribution moved, in words: for sentences, tables and cards, which are made on several floors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from serinus.facts import MISSING, UNSEEN, FeatureDrift, Shift

HEAD = ("Distribution", "PSI", "Distance", "Mean", "Largest change", "Weight", "Since")
"""What the cells of a `row` are."""
NAMED = 3
"""So many distributions are named in a sentence; the finding has them all."""


def ranked(features: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    """The drifted ones, what matters most for the model first: by distance times importance.

    What has no importance (the score, or all of a version that was made before it was measured) comes after what has,
    by distance; and last, by PSI, what nothing more is known of.
    """
    return sorted((one for one in features if one.drifted), key=_order)


def said_of(one: FeatureDrift) -> str:
    """How far, how much it matters, since when: `mean +0.84 sd, 41 % of the importance, since 2026-03-01 04:00 UTC`."""
    moved = one.shift
    if moved is None:
        return "no details"
    # Of numbers the mean says more than a bin, but not of values that are no numbers.
    mean = moved.sd is not None and not moved.largest.startswith((MISSING, UNSEEN))
    parts = [f"mean {moved.sd:+.2f} sd" if mean else moved.largest]
    parts += [weight] if (weight := weight_of(moved)) else []
    parts += [f"since {since_of(moved)}"] if moved.since is not None else []
    return ", ".join(parts)


def row(one: FeatureDrift) -> tuple[str, ...]:
    """A line of a table under `HEAD`; "-" for what is not known."""
    moved = one.shift
    if moved is None:
        return one.name, f"{one.psi:.3f}", "-", "-", "-", "-", "-"
    mean = f"{moved.sd:+.2f} sd" if moved.sd is not None else "-"
    return (
        one.name,
        f"{one.psi:.3f}",
        f"{moved.distance:.3f}",
        mean,
        moved.largest or "-",
        weight_of(moved) or "-",
        since_of(moved) or "-",
    )


def weight_of(moved: Shift) -> str:
    """How much the model goes by it, in words; "" where that is not known."""
    if not moved.used:
        return "not used by the model"
    return "" if moved.importance is None else f"{moved.importance:.0%} of the importance".replace("%", " %")


def since_of(moved: Shift) -> str:
    """When it began, in words; "" where that is not known."""
    if moved.since is None:
        return ""
    return f"{moved.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC{' or earlier' if moved.earlier else ''}"


def _order(one: FeatureDrift) -> tuple[bool, float, float, str]:
    moved = one.shift
    if moved is None:
        return True, 1.0, -one.psi, one.name
    weight = moved.importance
    return weight is None, -moved.distance * (1.0 if weight is None else weight), -one.psi, one.name
