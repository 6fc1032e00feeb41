"""Simulated A/B tests: how often a difference is found that is none, and how many users one takes that is there.

`python -m tests.simulation.experiments --seeds 400` prints the table of docs/strategies.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from serinus.decide import canary
from serinus.facts import Arm, Block, Rollout, VariantState
from serinus.spec import RolloutSpec

HOUR = timedelta(hours=1)
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
HORIZON = 14 * 24  # looks, one an hour


@dataclass(frozen=True)
class World:
    """Users who come by the hour, half of them to either version, and what they do."""

    name: str
    old: float = 0.1  # the share that orders, on average over the day
    new: float = 0.1
    users: int = 200  # an hour, in the mean; at noon more, and of another kind, than at night
    each: int = 1  # how often one user is counted
    alike: float = 0.0  # correlation of one user's outcomes


@dataclass(frozen=True)
class End:
    """How an experiment ended: promote, rollback, or hold, where nothing was found by the horizon."""

    action: canary.Action
    hours: int


WORLDS = (
    World("equal, 10 %"),
    World("equal, 1 %", old=0.01, new=0.01),
    World("equal, 50 %, 2,000 users an hour", old=0.5, new=0.5, users=2000),
    World("10 → 11 %", new=0.11),
    World("10 → 12 %", new=0.12),
    World("10 → 12 %, 2,000 users an hour", new=0.12, users=2000),
    World("10 → 8 %", new=0.08),
    World("equal, each user counted 10 times, all alike", each=10, alike=1.0),
    World("equal, each user counted 10 times, a tenth alike", each=10, alike=0.1),
)


def spec() -> RolloutSpec:
    """An experiment on orders."""
    return RolloutSpec.model_validate(
        {
            "strategy": "experiment",
            "experiment": {"metric": "orders", "header": "x-user"},
            "guardrails": {
                "errors": None, "rejections": None, "latency": None, "slowdown": None, "scores": None,
                "ratios": [{"name": "orders", "numerator": "o", "denominator": "u", "better": "higher", "margin": 0.2}],
            },
        }
    )  # fmt: skip


def play(world: World, seed: int) -> End:
    """One experiment, looked at every hour."""
    rng, rules = np.random.default_rng([seed, 11]), spec()
    rollout = Rollout(2, 1, BEGIN, 0, BEGIN, BEGIN)
    state = VariantState(2, True, 50)
    for hour, (stable, new) in enumerate(_hours(world, rng)):
        start = BEGIN + hour * HOUR
        block = Block(start, start + HOUR, stable, new)
        look = canary.look(rules, rollout, block, state, start + HOUR)
        if look.action != "hold":
            return End(look.action, hour + 1)
        rollout = look.rollout
    return End("hold", HORIZON)


def _hours(world: World, rng: np.random.Generator) -> Iterator[tuple[Arm, Arm]]:
    for hour in range(HORIZON - 1):
        day = 1 + 0.6 * np.sin(2 * np.pi * hour / 24)
        users = rng.poisson(world.users * day / 2, size=2)
        arms = [
            _arm(rng, int(n), rate * (1 + 0.3 * (day - 1)), world)
            for n, rate in zip(users, (world.old, world.new), strict=True)
        ]
        yield arms[0], arms[1]


def _arm(rng: np.random.Generator, users: int, rate: float, world: World) -> Arm:
    if world.each == 1:
        orders = int(rng.binomial(users, rate))
    else:
        scale = (1 - world.alike) / world.alike
        # What a user always does, or how often, by Beta's distribution; alike: the correlation of its outcomes.
        own = rng.beta(rate * scale, (1 - rate) * scale, users) if scale else 1.0 * (rng.random(users) < rate)
        orders = int(rng.binomial(world.each, own).sum())
    trials = users * world.each
    return Arm(answers=trials, ratios=(("orders", trials, orders),))


def _cell(asked: tuple[World, int]) -> End:
    return play(*asked)


def say(line: str) -> None:
    """Print it at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print a line a world."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    say(f"| world | found better | found worse | nothing by {HORIZON // 24} days | median hours to a finding |")
    say("|---|---|---|---|---|")
    with ProcessPoolExecutor(asked.processes) as pool:
        for world in WORLDS:
            ends = list(pool.map(_cell, [(world, seed) for seed in range(asked.seeds)], chunksize=8))
            hours = [end.hours for end in ends if end.action != "hold"]
            counts = [sum(end.action == action for end in ends) for action in ("promote", "rollback", "hold")]
            median = f"{np.median(hours):.0f}" if hours else "-"
            say(f"| {world.name} | {' | '.join(f'{n} of {len(ends)}' for n in counts)} | {median} |")


if __name__ == "__main__":
    main()
