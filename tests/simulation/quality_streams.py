"""Seeded days of labelled answers: figures that differ by chance, by the day, and by what was made to change."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from serinus.decide.evidence import weigh
from serinus.facts import Cell, ErrorSums, Measured, Reference, Tally, Window
from serinus.spec import ModelLoop
from serinus.stats import quality
from tests import data_sets

Floats = npt.NDArray[np.float64]
Days = Literal["alike", "independent", "storms", "weekends", "lasting"]

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOLDOUT = 7  # days
YEAR = 365


def loop(metric: str = "accuracy", **spec: Any) -> ModelLoop:
    """A loop that judges days by `metric`, with a holdout of a week; all else as it comes."""
    make = data_sets.regression if metric in ("rmse", "mae") else data_sets.binary
    rules = {"metric": metric, **spec.pop("quality", {})}
    return make(rows=2, data={"holdout": f"{HOLDOUT}d"}, collect={}, quality=rules, **spec)[0]


@dataclass(frozen=True)
class World:
    """What a version lives in: `between` is the standard deviation of its accuracy from day to day."""

    rows: int = 1000  # a day, on average
    accuracy: float = 0.8
    between: float = 0.01
    days: Days = "independent"


def effects(world: World, days: int, rng: np.random.Generator) -> Floats:
    """What each day does to the accuracy: mean 0, standard deviation `between`; shape (days,)."""
    noise = rng.normal(size=days)
    match world.days:
        case "alike":
            noise = np.zeros(days)
        case "independent":
            pass
        case "storms":  # 4 % of the days are bad by four standard deviations
            noise = 0.16 + 0.6 * noise - 4.0 * (rng.random(days) < 0.04)
        case "weekends":
            noise = 0.5 * noise + np.where((np.arange(days) + rng.integers(7)) % 7 < 2, -1.37, 0.548)
        case "lasting":  # half of a day's effect is the day's before
            for i in range(1, days):
                noise[i] = 0.5 * noise[i - 1] + math.sqrt(0.75) * noise[i]
    return world.between * noise


def accuracies(
    world: World, days: int, rng: np.random.Generator, fall: Callable[[int], float] = lambda _: 0.0
) -> tuple[Measured, list[Measured]]:
    """The holdout's accuracy, and that of each day after it, which is worse by `fall` of the day."""
    off = effects(world, HOLDOUT + days, rng)

    def drawn(day: int, rows: int) -> int:
        worse = fall(day - HOLDOUT) if day >= HOLDOUT else 0.0
        return int(rng.binomial(rows, float(np.clip(world.accuracy + off[day] - worse, 0, 1))))

    before = sum(drawn(day, world.rows) for day in range(HOLDOUT))
    holdout = _known(quality.share(before, HOLDOUT * world.rows))
    sizes = rng.poisson(world.rows, days) + 1
    return holdout, [_known(quality.share(drawn(HOLDOUT + i, n), n)) for i, n in enumerate(sizes.tolist())]


def false_alarms(spec: ModelLoop, world: World, years: int, seed: int, worse: float = 0.0) -> int:
    """Alarms in so many years of versions that are worse than their holdout by `worse`. Each alarm brings a new one."""
    rng, alarms = np.random.default_rng(seed), 0
    for _ in range(years):
        left = YEAR
        while left > 0:
            holdout, days = accuracies(world, left, rng, lambda _: worse)
            found = weigh(spec.spec, "accuracy", holdout, days).alarms
            if not found:
                break
            alarms, left = alarms + 1, left - found[0] - 1
    return alarms


def delays(spec: ModelLoop, world: World, fall: float, seed: int, times: int = 25, quiet: int = 30) -> Floats:
    """Mature windows from a lasting fall, after `quiet` good ones, to the alarm; infinite where 200 were not enough."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(times):
        holdout, days = accuracies(world, quiet + 200, rng, lambda day: fall if day >= quiet else 0.0)
        alarms = [a for a in weigh(spec.spec, "accuracy", holdout, days).alarms if a >= quiet]
        found.append(alarms[0] - quiet + 1 if alarms else math.inf)
    return np.array(found)


def scored(rng: np.random.Generator, rows: int, off: float) -> tuple[Cell, ...]:
    """Scores of two classes that a day's effect `off` makes less true; "yes" is the positive class."""
    scores = rng.beta(1.2, 2.5, rows)
    truth = rng.random(rows) < np.clip(scores - off, 0, 1)
    names = np.array(["no", "yes"])
    return quality.cells(names[truth.astype(int)].tolist(), names[(scores > 0.5).astype(int)].tolist(), scores)


def missed(rng: np.random.Generator, rows: int, off: float) -> ErrorSums:
    """Errors with long tails, larger by the day's effect."""
    return quality.errors(10 * (1 + off) * rng.standard_t(6, rows), np.zeros(rows))


@dataclass(frozen=True)
class Labelled:
    """A day's answers and when their labels come: hours after the day's end, in order; infinite: never."""

    right: npt.NDArray[np.bool_]
    hours: Floats

    def tally(self, day: int, now: datetime) -> Tally:
        """What is known of it at `now`."""
        window = Window(START + day * DAY, START + (day + 1) * DAY)
        known = self.hours <= (now - window.end) / timedelta(hours=1)
        counts = (("no", int((known & self.right).sum())), ("yes", int((known & ~self.right).sum())))
        unknown = int((~known).sum())
        cells = (*((t, n) for t, n in counts), (None, unknown))
        return Tally(
            1,
            window,
            known.size,
            int(known.sum()),
            tuple(Cell(t, "no", 20, n, 0.2 * n, 0.04 * n) for t, n in cells if n),
        )


def labelled_days(
    world: World, days: int, rng: np.random.Generator, fall: Callable[[int], float] = lambda _: 0.0
) -> tuple[Reference, list[Labelled]]:
    """A holdout and days after it, whose labels come 20 hours after the answer in the mean; one in ten never."""
    off = effects(world, HOLDOUT + days, rng)
    right = sum(int(rng.binomial(world.rows, world.accuracy + e)) for e in off[:HOLDOUT])
    counts = (("no", right), ("yes", HOLDOUT * world.rows - right))
    cells = tuple(Cell(truth, "no", 20, n, 0.2 * n, 0.04 * n) for truth, n in counts)
    made = []
    for day, effect in enumerate(off[HOLDOUT:]):
        rows = int(rng.poisson(world.rows)) + 1
        hours = rng.exponential(20, rows) - rng.uniform(0, 24, rows)
        hours[rng.random(rows) < 0.1] = np.inf
        made.append(Labelled(rng.random(rows) < world.accuracy + effect - fall(day), hours))
    return Reference(HOLDOUT * world.rows, quality.classified(cells, "yes"), cells, (), {}), made


def worlds() -> Iterator[World]:
    """Small and large loops, on days of every kind."""
    for days in ("alike", "independent", "storms", "weekends", "lasting"):
        for rows in (300, 3000, 30_000):
            for between in (0.005, 0.02) if days != "alike" else (0.0,):
                yield World(rows, between=between, days=days)


def _known(found: Measured | None) -> Measured:
    assert found is not None
    return found
