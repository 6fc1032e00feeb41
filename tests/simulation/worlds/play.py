"""A rollout in a world: somebody decides on the canary's weight, look by look, until it is over."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Literal, Protocol, TypeVar

from serinus import loading
from serinus.adapters.fakes.ledger import FakeLedger
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.adapters.fakes.runner import FakeRunner
from serinus.facts import Routing, RoutingState, Status, VariantState
from serinus.spec import Latency, ModelLoop, RolloutSpec
from services import driver
from tests.simulation.worlds.draw import World
from tests.simulation.worlds.facts import Scenario
from tests.simulation.worlds.scrapes import CANARY, LOOP, STABLE, START, Prometheus, moment

Played = TypeVar("Played")
Cause = Literal["", "harm", "timeout"]
BEGIN = 60  # second of the canary's first traffic; before it stable answers everybody
HORIZON = 2 * 3600  # seconds after which a rollout without an end is given up
BASE = loading.parse(f"""
apiVersion: serinus.dev/v1alpha1
kind: ModelLoop
metadata: {{name: {LOOP}}}
spec:
  task: binary-classification
  data: {{source: {{files: {{uri: data/}}}}, time: t, label: late, features: {{numeric: [distance]}}}}
  training: {{estimator: hist-gradient-boosting}}
  validation: {{metric: roc_auc}}
""")


@dataclass(frozen=True)
class Ended:
    """What a pilot decided at last: `cause` is why it rolled back."""

    action: Literal["promote", "rollback"]
    cause: Cause
    reason: str


@dataclass(frozen=True)
class Ending:
    """How a simulated rollout ended; times in seconds since the canary's first traffic."""

    seed: int
    action: Literal["promote", "rollback", "none"]  # none: the horizon came first
    cause: Cause
    seconds: int
    hurt: float  # answers of the canary until then that stable would have given better, in expectation
    answers: int  # of the canary until then
    reason: str


class Pilot(Protocol):
    """Who decides: asked first at `BEGIN`, when the canary gets its first share, and every so many seconds then."""

    every: int

    def look(self, seen: Prometheus, second: int) -> Ended | None:
        """One look; sets `seen.weight`, which holds from `second` on. Not None: it is over."""
        ...


class Serinus:
    """The real driver and `loop.next` behind it, by the rules of `spec`, with counters that are read every `scrape`."""

    def __init__(self, spec: ModelLoop, scrape: int = 1, every: int | None = None) -> None:
        self.every = every or scrape + 1
        self._spec, self._scrape = spec, timedelta(seconds=scrape)
        self._second = 0
        self._weights: dict[str, int] = {}
        self._registry = FakeRegistry(lambda: moment(self._second))
        for number in (STABLE, CANARY):
            self._registry.add(LOOP, trigger=f"{LOOP}-manual-{number}")
        self._registry.alias(LOOP, "champion", STABLE)
        self._ledger = FakeLedger()
        self._ledger.write(LOOP, Status(LOOP, champion=STABLE, decided=STABLE, last_scheduled=START), [], 0)

    def apply(self, loop: str, routing: Routing) -> None:
        """The port Router: shares move at once."""
        self._weights[loop] = routing.weight(CANARY)

    def observe(self, loop: str) -> RoutingState:
        """The port Router: both versions are always ready."""
        weight = self._weights.get(loop, 0)
        shares = ((STABLE, 100 - weight), (CANARY, weight))
        return RoutingState(tuple(VariantState(version, True, share) for version, share in shares))

    @property
    def status(self) -> Status:
        """What the loop remembers."""
        return self._ledger.read(LOOP).status

    def look(self, seen: Prometheus, second: int) -> Ended | None:
        """One look of the real driver."""
        self._second = second
        ports = driver.Ports(seen, self, self._registry, FakeRunner(), self._ledger)
        driver.look(LOOP, lambda: self._spec, ports, moment(second), START, scrape=self._scrape)
        seen.weight = self._weights.get(LOOP, 0)
        record = self._registry.records.get((LOOP, CANARY))
        if record is None:
            return None
        if record.outcome == "promoted":
            return Ended("promote", "", record.reason)
        failed = any(v.outcome == "fail" for v in record.verdicts)
        return Ended("rollback", "harm" if failed else "timeout", record.reason)


def model_loop(rollout: RolloutSpec, delay: timedelta | None = None) -> ModelLoop:
    """A loop with these rules of a rollout; all else as it comes. delay: `labels.delay`."""
    labels = BASE.spec.labels if delay is None else BASE.spec.labels.model_copy(update={"delay": delay})
    return BASE.model_copy(update={"spec": BASE.spec.model_copy(update={"rollout": rollout, "labels": labels})})


def play(scenario: Scenario, pilot: Pilot, seed: int, threshold: float = 0.25, horizon: int = HORIZON) -> Ending:
    """One rollout of the seeded world, from a minute before the canary's first traffic to its end.

    threshold: seconds from which an answer is slow, for which there is a latency bucket.
    """
    return carried(Prometheus(World(scenario, seed, BEGIN + horizon, BEGIN, threshold)), pilot, horizon)


def carried(seen: Prometheus, pilot: Pilot, horizon: int = HORIZON) -> Ending:
    """One rollout in the world of `seen`, which goes on from where this leaves it."""
    seed = seen.world.seed
    for second in range(BEGIN, BEGIN + horizon + 1, pilot.every):
        seen.run_to(second)
        ended = pilot.look(seen, second)
        if ended is not None:
            return Ending(seed, ended.action, ended.cause, second - BEGIN, seen.hurt, seen.answered, ended.reason)
    return Ending(seed, "none", "", horizon, seen.hurt, seen.answered, "")


def run(
    scenario: Scenario, spec: RolloutSpec, seed: int, horizon: int = HORIZON, delay: timedelta | None = None
) -> Ending:
    """One rollout under the real judge. delay: `labels.delay`."""
    return play(scenario, Serinus(model_loop(spec, delay), scenario.scraping.every), seed, threshold_of(spec), horizon)


def threshold_of(spec: RolloutSpec) -> float:
    """Seconds from which an answer is slow to the guardrail `latency`, or would be if it were on."""
    return (spec.guardrails.latency or Latency()).threshold.total_seconds()


def runs(
    scenario: Scenario,
    spec: RolloutSpec,
    seeds: int,
    processes: int = 1,
    horizon: int = HORIZON,
    first: int = 0,
    delay: timedelta | None = None,
) -> list[Ending]:
    """Rollouts of the seeds from `first` on, under the real judge; on so many processors."""
    play_one = partial(run, scenario, spec, horizon=horizon, delay=delay)
    return spread(play_one, range(first, first + seeds), processes)


def spread(play_one: Callable[[int], Played], seeds: range, processes: int = 1) -> list[Played]:
    """What becomes of `seeds`, in their order."""
    if processes <= 1:
        return [play_one(seed) for seed in seeds]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return pool.map(play_one, seeds, chunksize=max(len(seeds) // (8 * processes), 1))
