"""A version after its promotion: whether it is kept while it is watched, in the world that its rollout was in."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

from serinus.spec import RolloutSpec
from tests.simulation.worlds.catalogue import NEAR, TWENTY, Case, at
from tests.simulation.worlds.draw import World
from tests.simulation.worlds.facts import Failures, Harm, Scenario
from tests.simulation.worlds.play import BEGIN, Serinus, carried, model_loop, threshold_of
from tests.simulation.worlds.scrapes import CANARY, Prometheus

LATER = 60
"""Seconds after the promotion at which harm begins, where there is any."""

_HALF = Failures(rate=0.005)
HARMS = (
    Case(Scenario("every answer fails, 50/s", failures=_HALF, harm=Harm(errors=0.995)), TWENTY),
    Case(Scenario("errors 0.5 to 5 %, 50/s", failures=_HALF, harm=Harm(errors=0.045)), TWENTY),
    Case(Scenario("errors 0.5 to 5 %, 500/s", at(500), _HALF, harm=Harm(errors=0.045)), TWENTY),
    Case(Scenario("errors 0.5 to 5 %, 5/s", at(5), _HALF, harm=Harm(errors=0.045)), TWENTY),
    Case(Scenario("20 % slower, near the threshold", latency=NEAR, harm=Harm(slower=1.2)), TWENTY),
    Case(Scenario("constant answers, 50/s", harm=Harm(constant=1)), TWENTY),
)
"""What becomes worse after it was promoted. Steps begin at 20 %, as of a canary that is worse from the first on."""


@dataclass(frozen=True)
class Kept:
    """What became of a version that was promoted; seconds from its promotion, or from when its harm began."""

    back: int | None  # when the one before came back; None: it was kept
    hurt: float  # answers until then that the one before would have given better, in expectation


def kept(case: Case, seed: int) -> Kept | None:
    """The rollout of `case`, harmless until LATER after the promotion, and its watch; None: it was not promoted."""
    quiet = replace(case.scenario, harm=replace(case.scenario.harm, after=sys.maxsize))
    promoted = _rolled(quiet, case.spec, case.horizon, seed)
    if promoted is None:
        return None
    if not case.scenario.harmed:
        return _watched(*promoted, 0)
    # The same world once more: what was drawn before the harm begins is the same, so the promotion is too.
    began = promoted[0].now - BEGIN + LATER
    harmful = replace(case.scenario, harm=replace(case.scenario.harm, after=began))
    again = _rolled(harmful, case.spec, case.horizon, seed)
    return _watched(*again, LATER) if again is not None else None


def _rolled(scenario: Scenario, spec: RolloutSpec, horizon: int, seed: int) -> tuple[Prometheus, Serinus] | None:
    whole = BEGIN + horizon + round(spec.watch.total_seconds()) + 2 * scenario.scraping.every
    seen = Prometheus(World(scenario, seed, whole, BEGIN, threshold_of(spec)))
    pilot = Serinus(model_loop(spec), scenario.scraping.every)
    ending = carried(seen, pilot, horizon)
    return (seen, pilot) if ending.action == "promote" else None


def _watched(seen: Prometheus, pilot: Serinus, later: int) -> Kept:
    """On from the promotion, `later` seconds after which what counts begins."""
    begun, before = seen.now, seen.hurt
    while pilot.status.watch is not None and seen.now + pilot.every <= seen.world.horizon:
        seen.run_to(seen.now + pilot.every)
        pilot.look(seen, seen.now)
    back = seen.now - begun - later if pilot.status.champion != CANARY else None
    return Kept(back, seen.hurt - before)
