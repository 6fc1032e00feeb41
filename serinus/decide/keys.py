"""The key of a trigger: a run's identity in the runner, in the registry and in the loop's memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast, get_args

from serinus.facts import Cause


def run_key(loop: str, cause: Cause, end: datetime) -> str:
    """`{loop}-{cause}-{end}` with `end` as 20260102T030405Z, for example `flight-delay-drift-20260102T030405Z`.

    The same window gives the same key, which is what makes a trigger fire once. Whole seconds: two windows that end
    within one second are one trigger. Only `[A-Za-z0-9._-]`, because the runner's filters decode anything else twice.
    Raises ValueError when `end` has no time zone.
    """
    if end.tzinfo is None:
        raise ValueError(f"expected the window's end with a time zone, got {end.isoformat()}; pass UTC")
    return f"{loop}-{cause}-{end.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def cause(loop: str, key: str) -> Cause:
    """Why the run with this key was made; `manual` for a key that a person made up."""
    said = key.removeprefix(f"{loop}-").partition("-")[0]
    return cast(Cause, said) if said in get_args(Cause) else "manual"
