"""Seeded years of labelled answers for counting false alarms in worlds of another kind than the judge was made on.

Nothing here was used to choose a setting of the judge. Days' effects last, follow the week, come in spells or have
heavy tails; windows are small or of very unequal size, labels come for a part, and every judged figure is drawn by a
mechanism of its own, of which the true value is known: "worse by exactly the margin" is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from serinus.decide.evidence import weigh
from serinus.facts import BINS, Cell, ErrorSums, Measured, Tally, Window
from serinus.spec import ModelLoop
from serinus.stats import quality
from tests import data_sets
from tests.simulation.quality_looks import first_alarm
from tests.simulation.quality_looks import stream as judged
from tests.simulation.quality_streams import DAY, START, YEAR

Floats = npt.NDArray[np.float64]
Kind = Literal["ar 0.3", "ar 0.6", "ar 0.8", "weekly", "spells", "heavy tails", "restless"]
KINDS: tuple[Kind, ...] = ("ar 0.3", "ar 0.6", "ar 0.8", "weekly", "spells", "heavy tails", "restless")
MARGINS = {"accuracy": 0.02, "roc_auc": 0.02, "brier": 0.01, "log_loss": 0.03, "rmse": 0.4, "mae": 0.3}
LEAST = 30  # labelled rows of a window that is judged
STAY = 3 * YEAR  # days after which a version is replaced though nothing alarmed

_PLACES = np.arange(2, BINS, 4)
_SCORES = (_PLACES + 0.5) / BINS
_MASS = _SCORES**0.4 * (1 - _SCORES) ** 1.6
_MASS /= _MASS.sum()


@dataclass(frozen=True)
class Place:
    """What a version lives in. `between`: the standard deviation of days' effects, in margins."""

    metric: str
    days: Kind
    between: float
    rows: int  # a day, in the median
    uneven: float  # standard deviation of the log of a day's rows
    labelled: float  # mean share of rows that have a label; 1: all of them, else it varies by the day
    holdout: int  # days
    window: int = 1  # days

    def __str__(self) -> str:
        """One line of a table."""
        sizes = f"{self.rows} x/ {math.exp(self.uneven):.1f}"
        return f"{self.metric:9} {self.days:12} {self.between:4.2f} {sizes:12} {self.labelled:4.0%} {self.holdout:3}d"


def loop(place: Place) -> ModelLoop:
    """A loop as the place has it; all else as it comes: one false alarm a year is allowed."""
    make = data_sets.regression if place.metric in ("rmse", "mae") else data_sets.binary
    rules = {
        "metric": place.metric,
        "margin": MARGINS[place.metric],
        "minLabelled": LEAST,
        "window": f"{place.window}d",
    }
    return make(rows=2, data={"holdout": f"{place.holdout}d"}, collect={}, quality=rules)[0]


def places() -> Iterator[Place]:
    """Every figure on days of every kind; sizes, labels and holdouts in turn."""
    rows, betweens = cycle((60, 1000, 150, 4000, 300)), cycle((0.25, 1.0, 0.5, 0.75))
    uneven, labelled, holdouts = (
        cycle((0.0, 1.0, 0.5)),
        cycle((1.0, 0.7)),
        cycle((7, 28, 14, 3, 7, 14, 28, 7, 3, 14, 7)),
    )
    for metric in MARGINS:
        for days in KINDS:
            yield Place(metric, days, next(betweens), next(rows), next(uneven), next(labelled), next(holdouts))


def effects(kind: Kind, days: int, rng: np.random.Generator) -> Floats:
    """What each day does, in standard deviations: mean 0 and variance 1 over time; shape (days,)."""
    noise = rng.normal(size=days)
    match kind:
        case "ar 0.3" | "ar 0.6" | "ar 0.8":
            like = float(kind[3:])
            for i in range(1, days):
                noise[i] = like * noise[i - 1] + math.sqrt(1 - like**2) * noise[i]
        case "weekly":  # a wave over the week, and a fifth of the variance by chance
            noise = math.sqrt(1.6) * np.sin(2 * np.pi * (np.arange(days) + rng.uniform(0, 7)) / 7) + 0.447 * noise
        case "spells":  # bad for five days in the mean, one day in ten
            bad = np.zeros(days, dtype=bool)
            for i in range(days):
                before = bad[i - 1] if i else rng.random() < 0.1
                bad[i] = rng.random() < (0.8 if before else 0.2 / 9)
            noise = math.sqrt(0.36) * noise + 0.8 * np.where(bad, -3.0, 1 / 3)
        case "heavy tails":
            noise = rng.standard_t(4, days) / math.sqrt(2)
        case "restless":  # months that are calm, and months that are not
            level = np.repeat(rng.choice([0.5, 1.323], days // 30 + 1), 30)[:days]
            noise = level * noise
    return np.asarray(noise, dtype=np.float64)


def drawn(place: Place, rows: int, worse: float, rng: np.random.Generator) -> Measured | None:
    """The figure of `rows` labelled rows of a version whose true figure is worse by `worse`, in its unit."""
    match place.metric:
        case "accuracy":
            return quality.share(int(rng.binomial(rows, min(max(0.85 - worse, 0.0), 1.0))), rows)
        case "roc_auc":  # two normal distributions of the logit, a quarter of the rows positive
            apart = math.sqrt(2) * NormalDist().inv_cdf(min(max(0.78 - worse, 0.02), 0.98))
            positives = int(rng.binomial(rows, 0.25))
            return quality.auc(_binned(rng.normal(apart, 1, positives)), _binned(rng.normal(0, 1, rows - positives)))
        case "brier" | "log_loss":  # of some rows the truth is another's: the loss is linear in their share
            flips = min(max(0.25 + worse / _SLOPES[place.metric], 0.0), 1.0)
            true = (1 - flips) * _SCORES + flips * (1 - _SCORES)
            counts = rng.multinomial(rows, np.concatenate([_MASS * true, _MASS * (1 - true)]))
            return quality.measured(place.metric, _tally(rows, counts), "yes")
        case "rmse":
            off = math.sqrt(2 / 3) * 10 * (1 + worse / 10) * rng.standard_t(6, rows)
        case _:
            off = 6 * (1 + worse / 6) * rng.laplace(size=rows)
    return quality.measured(place.metric, _missed(off), None)


def stream(
    place: Place, level: float, days: int, rng: np.random.Generator
) -> tuple[Measured, list[Measured], list[int]]:
    """The holdout's figure, those of the windows that are judged, and their first days; worse by `level` margins."""
    margin = MARGINS[place.metric]
    off = -margin * place.between * effects(place.days, place.holdout + days, rng)
    sizes = np.maximum(place.rows * np.exp(place.uneven * rng.normal(size=off.size)), 2).astype(int)
    before = _together(place, [int(n) for n in sizes[: place.holdout]], off[: place.holdout], rng)
    found, kept = [], []
    for day in range(0, days - place.window + 1, place.window):
        those = slice(place.holdout + day, place.holdout + day + place.window)
        share = 1.0 if place.labelled == 1 else float(rng.beta(8 * place.labelled, 8 * (1 - place.labelled)))
        answered = int(sizes[those].sum())
        known = int(rng.binomial(answered, share))
        if known < LEAST or known < 0.5 * answered:
            continue
        worse = float(np.average(off[those], weights=sizes[those]))
        figure = drawn(place, known, level * margin + worse, rng)
        if figure is not None and math.isfinite(figure.value):
            found.append(figure)
            kept.append(day)
    return before, found, kept


def alarms(place: Place, level: float, years: int, seed: int) -> list[int]:
    """Alarms in each of so many years; an alarm brings a new version with a holdout of its own, and so does `STAY`."""
    rng, spec = np.random.default_rng([seed, int(level * 100)]), loop(place)
    counted, day = [0] * years, 0
    while day < years * YEAR:
        days = min(STAY, years * YEAR - day)
        before, found, kept = stream(place, level, days, rng)
        fell = first_alarm(judged(spec.spec, place.metric, before, found)) if found else None
        if fell is not None:
            counted[(day + kept[fell]) // YEAR] += 1
        day += days if fell is None else kept[fell] + place.window
    return counted


def delay(place: Place, fall: float, seed: int, quiet: int = 40, most: int = 120) -> float:
    """Judged windows from a fall by `fall` margins, after `quiet` good days, to the alarm; infinite: not found."""
    rng, spec = np.random.default_rng([seed, int(fall * 100)]), loop(place)
    before, good, _ = stream(place, 0.0, quiet, rng)
    _, bad, _ = stream(place, fall, most, rng)
    found = [a for a in weigh(spec.spec, place.metric, before, good + bad).alarms if a >= len(good)]
    return found[0] - len(good) + 1 if found else math.inf


def _together(place: Place, sizes: list[int], off: Floats, rng: np.random.Generator) -> Measured:
    """The holdout: every day's rows with that day's effect, drawn as one by mixing what the days drew."""
    total = sum(sizes)
    weighted = float(np.average(off, weights=sizes))
    found = drawn(place, total, weighted, rng)
    assert found is not None
    return found


def _binned(logits: Floats) -> Floats:
    places = np.clip((BINS / (1 + np.exp(1.5 - logits))).astype(np.intp), 0, BINS - 1)
    return np.bincount(places, minlength=BINS).astype(np.float64)


def _tally(rows: int, counts: npt.NDArray[np.int64]) -> Tally:
    cells = []
    for truth, part in zip(("yes", "no"), np.split(counts, 2), strict=True):
        for bin_, score, n in zip(_PLACES.tolist(), _SCORES.tolist(), part.tolist(), strict=True):
            if n:
                cells.append(Cell(truth, "yes" if score > 0.5 else "no", bin_, n, n * score, n * score * score))
    return Tally(1, Window(START, START + DAY), rows, rows, tuple(cells))


def _missed(off: Floats) -> Tally:
    sums: ErrorSums = quality.errors(off, np.zeros(off.size))
    return Tally(1, Window(START, START + DAY), off.size, off.size, (), errors=sums)


def _slope(loss: Callable[[Floats], Floats]) -> float:
    """What the mean loss gains when the truth of all rows is turned round."""
    there, other = loss(_SCORES), loss(1 - _SCORES)
    kept = float((_MASS * (_SCORES * there + (1 - _SCORES) * other)).sum())
    return float((_MASS * (_SCORES * other + (1 - _SCORES) * there)).sum()) - kept


_SLOPES = {"brier": _slope(lambda p: (1 - p) ** 2), "log_loss": _slope(lambda p: -np.log(p))}
