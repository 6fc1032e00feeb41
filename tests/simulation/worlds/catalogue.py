"""The worlds that promises are counted in: canaries that are as good as stable, and canaries that are not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from serinus.spec import Errors, Guardrails, RolloutSpec
from tests.simulation.worlds.facts import (
    Clusters,
    Failures,
    Harm,
    Latency,
    Load,
    Scenario,
    Scraping,
    WarmUp,
)
from tests.simulation.worlds.play import HORIZON

PLAIN = RolloutSpec()


@dataclass(frozen=True)
class Case:
    """A scenario, and the rules of the rollout in it."""

    scenario: Scenario
    spec: RolloutSpec = PLAIN
    horizon: int = HORIZON

    @property
    def name(self) -> str:
        return self.scenario.name


PATIENT = RolloutSpec(steps=(50,), min_requests=100, step_timeout=timedelta(hours=12))
"""For a loop that is asked every five seconds: half of its traffic, and half a day to convince."""
SLOW = RolloutSpec(step_timeout=timedelta(hours=1))
TWENTY = RolloutSpec(steps=(20, 50))
HALVES = RolloutSpec(steps=(50,))
FINE = RolloutSpec(steps=(20, 50), guardrails=Guardrails(errors=Errors(margin=0.002)), step_timeout=timedelta(hours=1))
WARM = RolloutSpec(warm_up=timedelta(seconds=40))
"""For servers that take two time constants of twenty seconds to answer nearly as fast as they will."""
NEAR = Latency(median=0.15, sigma=0.6)
"""A fifth of the answers is slower than a quarter of a second."""


def at(rate: float) -> Load:
    """So many requests a second, evenly."""
    return Load(rate)


IDENTICAL = (
    Case(Scenario("constant, 0.2/s", at(0.2), scraping=Scraping(every=60)), PATIENT, 12 * 3600),
    Case(Scenario("constant, 5/s", at(5)), SLOW),
    Case(Scenario("constant, 50/s")),
    Case(Scenario("constant, 500/s", at(500))),
    Case(Scenario("constant, 2,000/s", at(2000))),
    Case(Scenario("constant, 500/s, 1 % weight", at(500)), RolloutSpec(steps=(1, 10, 50))),
    Case(Scenario("constant, 50/s, 50 % weight"), HALVES),
    Case(Scenario("diurnal (20 min a day)", Load(50, swing=0.9, day=1200))),
    Case(Scenario("bursty, x 10", Load(50, burst=10))),
    Case(Scenario("bursty, x 30, 5/s", Load(5, burst=30, burst_every=120, burst_for=5)), SLOW),
    Case(Scenario("wandering errors", failures=Failures(wander=1.0))),
    Case(Scenario("outages in both arms", failures=Failures(outage_every=60, outage_for=3))),
    Case(Scenario("outages in both arms, bursty", Load(50, burst=10), Failures(outage_every=60, outage_for=3))),
    Case(Scenario("clusters, one arm each", clusters=(Clusters(every=75),))),
    Case(Scenario("clusters, one arm each, 5/s", at(5), clusters=(Clusters(every=300),)), SLOW),
    Case(Scenario("clusters, one arm each, 500/s", at(500), clusters=(Clusters(every=10),))),
    Case(Scenario("clusters of 100, one arm each", clusters=(Clusters(every=120, least=100),))),
    Case(Scenario("clusters of 100 over 10 s", clusters=(Clusters(every=120, least=100, spread=10),))),
    Case(Scenario("clusters, frequent", clusters=(Clusters(every=15),))),
    Case(Scenario("clusters over 10 s each", clusters=(Clusters(every=75, spread=10),))),
    Case(Scenario("clusters, rare", clusters=(Clusters(every=600),))),
    Case(Scenario("clusters, split by weight", clusters=(Clusters(every=75, sticky=0),))),
    Case(Scenario("clusters, 1 % weight, 500/s", at(500), clusters=(Clusters(10),)), RolloutSpec(steps=(1, 10, 50))),
    Case(Scenario("clusters, 50 % weight", clusters=(Clusters(every=75),)), HALVES),
    Case(Scenario("clusters of refusals", clusters=(Clusters(every=75, outcome="invalid"),))),
    Case(Scenario("heavy tails, slow spells", latency=Latency(tail=0.05, index=1.1, spell_every=60))),
    Case(Scenario("near the threshold, slow spells", latency=replace(NEAR, spell_every=60))),
    Case(Scenario("slow spells, bursty", Load(50, burst=10), latency=replace(NEAR, spell_every=60, spell_for=5))),
    Case(Scenario("pauses, each arm alone", latency=Latency(pause=0.005))),
    Case(Scenario("warm-up, x 5 for 5 s", warm_up=WarmUp(5, 5))),
    Case(Scenario("warm-up, x 5 for 20 s, said so", warm_up=WarmUp(5, 20)), WARM),
    Case(Scenario("counter resets", scraping=Scraping(reset_every=60))),
    Case(Scenario("missed scrapes, 20 %", scraping=Scraping(missed=0.2))),
    Case(Scenario("gaps of one arm", scraping=Scraping(gap_every=30, gap_for=10))),
    Case(Scenario("gaps of one arm, outages", failures=Failures(outage_every=60), scraping=Scraping(gap_every=30))),
    Case(Scenario("scraped every 15 s, 7 s apart", scraping=Scraping(every=15, apart=7))),
    Case(
        Scenario("scraped every 15 s, 7 s apart, outages", failures=Failures(outage_every=60), scraping=Scraping(15, 7))
    ),
    Case(
        Scenario(
            "everything at once",
            Load(50, swing=0.5, day=1800, burst=5),
            Failures(wander=0.5, outage_every=300),
            clusters=(Clusters(every=150), Clusters(every=300, outcome="invalid")),
            latency=Latency(tail=0.03, spell_every=120, pause=0.002),
            scraping=Scraping(missed=0.05, gap_every=120, reset_every=300),
            warm_up=WarmUp(3, 5),
        )
    ),
)
"""The canary is as good as stable in all of them (but for its first seconds, in two): every rollback is false."""

_HALF = Failures(rate=0.005)

HARMS = (
    Case(Scenario("errors 0.5 to 5 %, 50/s", failures=_HALF, harm=Harm(errors=0.045)), TWENTY),
    Case(Scenario("errors 0.8 to 2 %, 50/s", harm=Harm(errors=0.012)), TWENTY),
    Case(Scenario("errors 0.5 to 5 %, 5/s", at(5), _HALF, harm=Harm(errors=0.045)), TWENTY),
    Case(Scenario("errors 0.5 to 5 %, 500/s, 5 % weight", at(500), _HALF, harm=Harm(errors=0.045))),
    Case(Scenario("errors 0.5 to 5 %, after 60 s", failures=_HALF, harm=Harm(60, 0.045)), TWENTY),
    Case(Scenario("20 % slower, 50/s", harm=Harm(slower=1.2)), TWENTY),
    Case(Scenario("20 % slower, near the threshold", latency=NEAR, harm=Harm(slower=1.2)), TWENTY),
    Case(Scenario("twice as slow, 50/s", harm=Harm(slower=2)), TWENTY),
    Case(Scenario("constant answers, 50/s", harm=Harm(constant=1)), TWENTY),
    Case(
        Scenario("bursts of errors in the canary", clusters=(Clusters(every=30, canary_only=True),)),
        TWENTY,
    ),
    Case(
        Scenario("errors 0.5 to 5 % amid clusters", failures=_HALF, clusters=(Clusters(75),), harm=Harm(errors=0.045)),
        TWENTY,
    ),
)
"""The canary is worse in all of them; the second by little more than the margin."""

SOONER = (
    Case(Scenario("errors 0.5 to 5 %, 5/s, 50 % weight", at(5), _HALF, harm=Harm(errors=0.045)), HALVES),
    Case(Scenario("errors 0.8 to 2 %, 50/s, margin 0.2 %", harm=Harm(errors=0.012)), FINE),
    Case(Scenario("constant, 50/s, margin 0.2 %"), FINE),
)
"""Two of HARMS by rules for those who have to know sooner, and what one of these costs a canary as good as stable."""
