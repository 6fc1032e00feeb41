"""How a new version meets traffic: by growing shares, all at once, by copies of requests, or user by user."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from serinus.durations import PositiveDuration
from serinus.spec.parts import Part

Strategy = Literal["canary", "blueGreen", "shadow", "experiment"]
KNOWN_BY = r"^[A-Za-z0-9_.-]{1,100}$"
KnownBy = Annotated[str, Field(pattern=KNOWN_BY)]


class Shadow(Part):
    """Copies of requests, which stable answers: the new version's answers are compared and thrown away."""

    percent: Annotated[int, Field(ge=1, le=100)] = 100
    """The share of requests of which the new version gets a copy."""


class Experiment(Part):
    """An A/B test: every user is answered by one of two versions, always the same, until a metric tells these apart."""

    metric: str
    """Which of `guardrails.ratios` decides, by its name."""
    header: KnownBy | None = None
    """The request's header that says who a user is, such as x-user-id."""
    cookie: KnownBy | None = None
    """Or the cookie. A request that has none of it is answered by either version, by chance."""
    percent: Annotated[int, Field(ge=1, le=99)] = 50
    """The share of users whom the new version answers."""
    horizon: PositiveDuration = timedelta(days=14)
    """How long it may take. Where no difference was found by then, everybody gets the old version back."""

    @model_validator(mode="after")
    def _known(self) -> Experiment:
        if (self.header is None) == (self.cookie is None):
            raise ValueError("expected exactly one of header and cookie: by that a user is known")
        return self
