"""What a simulated world is made of: frozen parts that compose into a Scenario. Times are seconds, shares 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Load:
    """Requests a second, both arms together. What varies keeps the mean at `rate`."""

    rate: float = 50.0
    swing: float = 0.0  # of a day's sine wave around the mean, 0 to 1; a seed begins at any time of the day
    day: float = 86_400.0
    burst: float = 1.0  # Markov-modulated Poisson: how many times the quiet rate it is in a burst
    burst_every: float = 60.0  # mean length of a quiet spell
    burst_for: float = 10.0  # mean length of a burst


@dataclass(frozen=True)
class Failures:
    """Requests that fail by themselves, each independently of the others, in both arms alike."""

    rate: float = 0.008
    wander: float = 0.0  # standard deviation of the log of a factor of both arms' rates; memory of a hundred seconds
    outage_every: float = 0.0  # mean time between moments in which what both arms need is away; 0: never
    outage_for: float = 3.0  # mean length of one
    outage_rate: float = 0.3  # of the requests that fail meanwhile


@dataclass(frozen=True)
class Clusters:
    """Failures that come together: one event, `least` to `most` more requests (log-uniform), all of which fail."""

    every: float = 75.0  # mean time between events
    least: int = 10
    most: int = 100
    sticky: float = 1.0  # share of events that land in one arm (one client's connection), which one by the weights
    spread: int = 1  # seconds that an event's requests are spread over
    outcome: Literal["error", "invalid"] = "error"
    canary_only: bool = False  # harm: the canary alone has them, whatever its weight


@dataclass(frozen=True)
class Latency:
    """Lognormal, with a Pareto tail beside it; spells and pauses multiply every answer's time."""

    median: float = 0.04
    sigma: float = 0.5  # of the logarithm
    tail: float = 0.01  # share of answers whose time is Pareto's from 2.5 medians on
    index: float = 1.5  # of the tail; under 2 the variance is infinite
    spell_every: float = 0.0  # mean time between slow periods that both arms share; 0: never
    spell_for: float = 20.0
    spell: float = 5.0  # how many times slower
    pause: float = 0.0  # chance of a second in which one arm alone stands still: all its answers take `pause_for`
    pause_for: float = 1.0


@dataclass(frozen=True)
class Scraping:
    """How Prometheus gets to see the counters."""

    every: int = 1
    apart: int = 0  # the canary is scraped so much later than stable within the interval
    missed: float = 0.0  # chance that a scrape of an arm fails, each arm alone
    gap_every: float = 0.0  # mean time between gaps in which one arm alone (either) is not scraped; 0: none
    gap_for: float = 10.0
    reset_every: float = 0.0  # mean time between restarts of an arm's process, whose counters begin at 0 again; 0: none


@dataclass(frozen=True)
class WarmUp:
    """A fresh canary is slower at first by `factor`, which decays to 1 with a time constant of `seconds`."""

    factor: float = 1.0
    seconds: float = 20.0


@dataclass(frozen=True)
class Truth:
    """A kind of truth: how common it is, how long its label takes, how often each version is wrong about it."""

    share: float
    after: int
    stable: float
    canary: float


@dataclass(frozen=True)
class Ratio:
    """Two counters of the user's own: `part_total` counts some of the good answers that `whole_total` counts all of."""

    part: str
    whole: str
    stable: float  # share that is counted
    canary: float


@dataclass(frozen=True)
class Harm:
    """What is worse about the canary, from `after` seconds with traffic on. The default: nothing."""

    after: float = 0.0
    errors: float = 0.0  # added to the share of its requests that fail by themselves
    slower: float = 1.0  # every answer's time, times this
    constant: float = 0.0  # share of its answers that are one and the same


@dataclass(frozen=True)
class Scenario:
    """A world that a stable version and a canary live in; both are alike but for `warm_up` and harm."""

    name: str
    load: Load = Load()
    failures: Failures = Failures()
    rejected: float = 0.002
    clusters: tuple[Clusters, ...] = ()
    latency: Latency = Latency()
    scraping: Scraping = Scraping()
    warm_up: WarmUp = WarmUp()
    scores: int = 10  # bins of the score, of equal mass
    tilt: float = 0.3  # standard deviation of a wandering log ratio between the score's last and first bins, shared
    truths: tuple[Truth, ...] = ()  # of answers that get a label; shares sum to 1 at most
    ratios: tuple[Ratio, ...] = ()
    harm: Harm = Harm()

    @property
    def harmed(self) -> bool:
        """Whether the canary differs from stable in anything that lasts."""
        differs = any(t.stable != t.canary for t in self.truths) or any(r.stable != r.canary for r in self.ratios)
        return differs or self.harm != Harm(self.harm.after) or any(c.canary_only for c in self.clusters)
