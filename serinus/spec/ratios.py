"""Business figures as guardrails: the ratio of two counters that the user names."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from serinus.durations import Duration
from serinus.spec.parts import Part

COUNTER = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"
LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
RATIO = r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"
BUILT_IN = ("errors", "rejections", "latency", "slowdown", "scores", "quality")
Counter = Annotated[str, Field(pattern=COUNTER)]


class Ratio(Part):
    """A share of your own: what one Prometheus counter counts of what another one counts."""

    name: Annotated[str, Field(pattern=RATIO)]
    """What it is called in verdicts, metrics and events; none of the guardrails' own names."""
    numerator: Counter
    """The counter of the part, such as shop_orders_total. What it counts the denominator counts too."""
    denominator: Counter
    """The counter of the whole, such as shop_offers_total."""
    labels: dict[str, str] | None = None
    """Labels that the series of both have. Unset: `loop`, with the loop's name."""
    version_label: Annotated[str, Field(pattern=LABEL)] = "version"
    """The label that holds the number of the version that answered."""
    better: Literal["higher", "lower"]
    """Whether more of it is good or bad."""
    margin: Annotated[float, Field(gt=0, lt=1)]
    """How much worse the canary's may be, as a difference of shares."""
    delay: Duration = timedelta(0)
    """How long after the denominator the numerator may count; a step takes twice that at least. 0s: both count at the
    same moment."""
