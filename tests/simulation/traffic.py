"""Seeded traffic for simulated rollouts: Bernoulli outcomes at rates that wander together in both arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from serinus.decide import canary
from serinus.facts import Arm, Block, Rollout, VariantState
from serinus.spec import RolloutSpec

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MEMORY = 0.99  # correlation of the wandering from one second to the next


@dataclass(frozen=True)
class Behaviour:
    """The mean rates of one version."""

    errors: float = 0.008
    slow: float = 0.01
    rejected: float = 0.002
    worse: float = 0.0  # added to the errors, whatever the weather
    pauses: float = 0.0  # chance of a second in which every answer of this version is slow


@dataclass(frozen=True)
class Truth:
    """A kind of truth: how common it is, how long its label takes, how often each version is wrong about it."""

    share: float
    after: int  # seconds
    stable: float
    canary: float


@dataclass(frozen=True)
class World:
    """A stable version, a canary, and what both live in."""

    stable: Behaviour = Behaviour()
    canary: Behaviour = Behaviour()
    requests: float = 50.0  # a second, both arms together
    wander: float = 0.5  # standard deviation of the log of the factor that both arms' rates have in common
    weather: Callable[[int], float] = lambda _: 1.0  # one more factor, by the second: storms
    every: int = 1  # seconds between looks
    truths: tuple[Truth, ...] = ()  # of answers that get a label; shares sum to 1 at most
    delay: int = 0  # `labels.delay`, seconds


@dataclass(frozen=True)
class Ending:
    """How a simulated rollout ended."""

    action: canary.Action
    seconds: int  # since the canary's first traffic
    reason: str


def run(spec: RolloutSpec, world: World, seed: int) -> Ending:
    """Look every `world.every` seconds from the canary's first traffic until the rollout ends."""
    rng = np.random.default_rng(seed)
    rollout = Rollout(2, 1, START, 0, START, looked_until=START)
    ready, wander = VariantState(2, ready=True, weight=0), rng.normal()
    stable, tried = Arm(), Arm()
    labels = Labels(world, rng)
    for second in range(36_000):
        wander = MEMORY * wander + (1 - MEMORY**2) ** 0.5 * rng.normal()
        factor = float(np.exp(world.wander * wander - world.wander**2 / 2)) * world.weather(second)
        share = canary.weight(spec, rollout) / 100
        each = (
            _arm(rng, world.requests * (1 - share), world.stable, factor),
            _arm(rng, world.requests * share, world.canary, factor),
        )
        stable, tried = _both(stable, each[0]), _both(tried, each[1])
        if world.truths:
            came = labels.come(second, each)
            stable, tried = _both(stable, came[0]), _both(tried, came[1])
        if (second + 1) % world.every:
            continue
        now = START + (second + 1) * SECOND
        if not canary.hears(rollout.step_started, rollout.looked_until, world.delay * SECOND):
            stable, tried = replace(stable, labelled=0, wrong=0), replace(tried, labelled=0, wrong=0)
        block = Block(rollout.looked_until, now, stable, tried)
        seen = canary.look(spec, rollout, block, ready, now, delay=world.delay * SECOND)
        stable, tried, rollout = Arm(), Arm(), seen.rollout
        if seen.action in ("promote", "rollback"):
            return Ending(seen.action, second + 1, seen.reason)
    raise AssertionError("ten hours without an end")


class Labels:
    """Labels on their way: those of answers in a second come all together, when their kind's time is over.

    Before the rollout stable answered everybody, and the labels of that time still come.
    """

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self._world, self._rng = world, rng
        self._coming: dict[int, list[Arm]] = {}
        for second in range(-max((t.after for t in world.truths), default=0), 0):
            self._send(second, (Arm(int(rng.poisson(world.requests))), Arm()))

    def come(self, second: int, answered: tuple[Arm, Arm]) -> tuple[Arm, Arm]:
        """The labels of this second, of stable and of the canary, when these were their answers."""
        self._send(second, answered)
        stable, tried = self._coming.pop(second, [Arm(), Arm()])
        return stable, tried

    def _send(self, second: int, answered: tuple[Arm, Arm]) -> None:
        for truth in self._world.truths:
            coming = self._coming.setdefault(second + truth.after, [Arm(), Arm()])
            for i, (arm, wrong) in enumerate(zip(answered, (truth.stable, truth.canary), strict=True)):
                labelled = int(self._rng.binomial(arm.answers, truth.share))
                coming[i] = _both(coming[i], Arm(labelled=labelled, wrong=int(self._rng.binomial(labelled, wrong))))


def runs(spec: RolloutSpec, world: World, seeds: int) -> tuple[list[Ending], list[Ending]]:
    """The endings of that many rollouts: those promoted, those rolled back."""
    endings = [run(spec, world, seed) for seed in range(seeds)]
    return [e for e in endings if e.action == "promote"], [e for e in endings if e.action == "rollback"]


def report(what: str, promoted: list[Ending], rolled: list[Ending]) -> None:
    """Print how many and how long; pytest shows it with -s."""
    for name, endings in (("promoted", promoted), ("rolled back", rolled)):
        if endings:
            taken = [e.seconds for e in endings]
            middle, high = np.median(taken), np.quantile(taken, 0.95)
            print(f"{what}: {len(taken)} {name}, median {middle:.0f} s, p95 {high:.0f} s, at most {max(taken)} s")  # noqa: T201


def _arm(rng: np.random.Generator, mean: float, behaviour: Behaviour, factor: float) -> Arm:
    requests = int(rng.poisson(mean))
    rejected = int(rng.binomial(requests, behaviour.rejected))
    answers = requests - rejected
    errors = int(rng.binomial(answers, min(1.0, behaviour.errors * factor + behaviour.worse)))
    paused = bool(behaviour.pauses) and rng.random() < behaviour.pauses
    slow = answers if paused else int(rng.binomial(answers, min(1.0, behaviour.slow * factor)))
    return Arm(answers, errors, rejected, timed=answers, slow=slow)


def _both(one: Arm, other: Arm) -> Arm:
    return Arm(*(getattr(one, f.name) + getattr(other, f.name) for f in fields(Arm)))
