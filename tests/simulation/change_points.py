"""How well the beginning of a drift is told, counted: `python -m tests.simulation.change_points`.

A column in ten quantile bins of training moves by some standard deviations, at once or slowly, at a moment of the
window that is found in violation or of the three before it. The estimate is asked for as the job asks: by eighths of a
window, against the training counts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from serinus.stats.changepoint import change_point
from services.drift.since import PARTS, WINDOWS

TRAINING = 100_000
BINS = 10


@dataclass(frozen=True)
class World:
    """Rows of a window, the shift in standard deviations, how long it takes, and the season within a window."""

    rows: int
    shift: float
    slow: float = 0.0  # windows until the whole shift has come about
    season: float = 0.0  # of a day as long as a window: amplitude in standard deviations


def errors(world: World, runs: int, seed: int = 1) -> list[float]:
    """How many windows the estimate is from the moment of the change (of a slow one: of its half), earlier is less."""
    rng, found = np.random.default_rng(seed), []
    edges = norm.ppf(np.linspace(0, 1, BINS + 1))
    centres = (np.arange(PARTS * WINDOWS) + 0.5) / PARTS
    for _ in range(runs):
        at = rng.uniform(0.5, WINDOWS - 0.5)  # windows since the first one that is read
        grown = np.clip((centres - at) / world.slow, 0, 1) if world.slow else (centres > at).astype(float)
        moved = world.shift * grown + world.season * np.sin(2 * np.pi * centres)
        training = rng.multinomial(TRAINING, np.full(BINS, 1 / BINS))
        shares = [np.diff(norm.cdf(edges, loc=mean, scale=np.sqrt(1 - world.season**2 / 2))) for mean in moved]
        blocks = [rng.poisson(world.rows / PARTS * share).tolist() for share in shares]
        # The job reads further back only while the beginning seems to lie before what it has read.
        for back in range(1, WINDOWS + 1):
            seen = blocks[-back * PARTS :]
            place = change_point(training.tolist(), seen, np.sum(blocks[-PARTS:], axis=0).tolist())
            if place:
                break
        found.append((place + len(blocks) - len(seen)) / PARTS - (at + world.slow / 2))
    return found


def table(runs: int) -> Iterator[str]:
    """A line a world: median error, the middle 80 %, and how often it is within an eighth and a quarter of a window."""
    worlds = [World(rows, shift) for rows in (600, 2000, 20_000) for shift in (0.25, 0.5, 1.0)]
    worlds += [World(2000, 0.5, season=0.5), World(2000, 1.0, season=0.5), World(2000, 1.0, slow=2.0)]
    yield "| rows | shift, sd | change | median | 80 % between | within 1/8 | within 1/4 |"
    yield "|---|---|---|---|---|---|---|"
    for world in worlds:
        found = np.array(errors(world, runs))
        low, high = np.quantile(found, [0.1, 0.9])
        kind = "over two windows" if world.slow else f"sudden{', season of 0.5 sd' if world.season else ''}"
        shares = [f"{np.mean(np.abs(found) <= reach):.0%}".replace("%", " %") for reach in (1 / 8, 1 / 4)]
        middle = f"{np.median(found):+.2f} | {low:+.2f} to {high:+.2f}"
        yield f"| {world.rows:,} | {world.shift:g} | {kind} | {middle} | {shares[0]} | {shares[1]} |"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else 400))
