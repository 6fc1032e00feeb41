"""How a new version meets traffic: by growing shares, all at once, or by copies of requests, answered to nobody."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from serinus.spec.parts import Part

Strategy = Literal["canary", "blueGreen", "shadow"]


class Shadow(Part):
    """Copies of requests, which stable answers: the new version's answers are compared and thrown away."""

    percent: Annotated[int, Field(ge=1, le=100)] = 100
    """The share of requests of which the new version gets a copy."""
