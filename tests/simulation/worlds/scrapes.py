"""What Prometheus would hold of a world: cumulative counters of both arms, sampled at scrapes; the port Metrics."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from serinus.decide.counts import LABELLED, PREDICTIONS, SCORES, SECONDS
from serinus.facts import Series
from serinus.stats.counters import gain
from tests.simulation.worlds.draw import CHUNK, OUTCOMES, Floats, Ints, World

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOP = "simulated"
STABLE, CANARY = 1, 2  # versions


class Prometheus:
    """The counters of `world` as they grow; `run_to` lets time pass, `increases` answers as the real one would.

    A scrape at second t holds what was counted in the seconds before t. A scrape that failed left no sample.
    """

    def __init__(self, world: World) -> None:
        self.world, self.now, self.weight = world, 0, 0
        self.hurt = 0.0  # answers of the canary so far that stable would have given better
        self.answered = 0  # the canary's, so far
        self._columns = _columns(world)
        self._counters = [np.zeros(len(self._columns), dtype=np.int64) for _ in (STABLE, CANARY)]
        self._times: tuple[list[int], list[int]] = ([], [])  # milliseconds
        self._samples: tuple[list[list[int]], list[list[int]]] = ([], [])
        self._rows = _Rows(world)
        self._known = np.zeros((world.horizon, 2, 2), dtype=np.int64)  # labels by when they come: arm, right or wrong
        self._of: dict[str, list[int]] = {}
        for i, (metric, _) in enumerate(self._columns):
            self._of.setdefault(metric, []).append(i)
        self._labels = [
            [{"loop": LOOP, "version": str(v), **labels} for _, labels in self._columns] for v in (STABLE, CANARY)
        ]

    def run_to(self, second: int) -> None:
        """Let the seconds before `second` pass, with the canary's present weight."""
        if second > self.world.horizon:
            raise ValueError(f"expected a second within the world's {self.world.horizon}, got {second}")
        while self.now < second:
            end = min(second, (self.now // CHUNK + 1) * CHUNK)
            rows, labels, hurt = self._rows.between(self.now, end, self.weight)
            for i, truth in enumerate(self.world.scenario.truths):
                coming = self._known[self.now + truth.after : end + truth.after]
                coming += labels[: len(coming), :, 2 * i : 2 * i + 2]
            counted = np.concatenate([rows, self._known[self.now : end]], axis=-1)
            for arm in (0, 1):
                self._count(arm, counted[:, arm], end)
            self.hurt += float(hurt.sum())
            self.answered += int(rows[:, 1, (0, 2)].sum())
            self.now = end

    def _count(self, arm: int, rows: Ints, end: int) -> None:
        """Add new counts of the seconds from now to `end` to an arm's counters, and keep what scrapes see of them."""
        resets, scraping = self.world.resets[arm, self.now : end], self.world.scenario.scraping
        values, before = np.empty_like(rows), self._counters[arm]
        for first, stop in pairwise((0, *np.flatnonzero(resets).tolist(), len(rows))):
            values[first:stop] = before + rows[first:stop].cumsum(axis=0)
            before = np.zeros_like(before)  # a new process begins at 0
        self._counters[arm] = values[-1]
        times = np.arange(self.now + 1, end + 1)
        seen = ((times - scraping.apart * arm) % scraping.every == 0) & ~self.world.unscraped[arm, self.now : end]
        self._times[arm].extend((1000 * times[seen]).tolist())
        self._samples[arm].extend(values[seen].tolist())

    def increases(self, metric: str, labels: Mapping[str, str], start: datetime, end: datetime) -> tuple[Series, ...]:
        """What every series of `metric` gained in (start, end]; an arm that was never scraped has none."""
        first, last = _milliseconds(start), _milliseconds(end)
        found = []
        for arm, version in enumerate((STABLE, CANARY)):
            if labels.get("version", str(version)) != str(version):
                continue
            times = self._times[arm]
            begin, stop = max(bisect_right(times, first) - 1, 0), bisect_right(times, last)
            if begin == stop:
                continue
            samples, when = self._samples[arm][begin:stop], times[begin:stop]
            inside = stop - bisect_right(times, first)
            if not self.world.resets[arm, when[0] // 1000 : when[-1] // 1000].any():
                samples, when = [samples[0], samples[-1]], [when[0], when[-1]]  # what only grew gained the difference
            for i in self._of.get(metric, ()):
                gained = gain([(t, row[i]) for t, row in zip(when, samples, strict=True)], first, last)
                found.append(Series(self._labels[arm][i], gained.increase, inside))
        return tuple(found)

    def scrapes(self, version: int, start: datetime, end: datetime) -> int:
        """How many scrapes of `version` succeeded in (start, end]."""
        times = self._times[version - STABLE]
        return bisect_right(times, _milliseconds(end)) - bisect_left(times, _milliseconds(start) + 1)


class _Rows:
    """A world's new counts by the second, in the order of the columns but for labels; buckets summed up to bounds."""

    def __init__(self, world: World) -> None:
        self._world, self._key = world, (-1, -1)
        self._counts, self._hurt = np.zeros((CHUNK, 2, 0), dtype=np.int64), np.zeros(CHUNK)
        self._labels = self._counts

    def between(self, start: int, end: int, weight: int) -> tuple[Ints, Ints, Floats]:
        """Of the seconds [start, end) of one chunk: (seconds, 2, columns) new counts, labels by kind, answers hurt."""
        number, first = divmod(start, CHUNK)
        if (number, weight) != self._key:
            drawn = self._world.chunk(number, weight)
            wholes = np.repeat(drawn.outcomes[..., :1], len(self._world.scenario.ratios), axis=-1)
            every = (drawn.outcomes, drawn.buckets.cumsum(axis=-1), drawn.scores, drawn.parts, wholes)
            self._counts = np.concatenate(every, axis=-1).transpose(1, 0, 2).copy()
            self._labels, self._hurt = drawn.labels.transpose(1, 0, 2), drawn.hurt
            self._key = (number, weight)
        stop = first + end - start
        return self._counts[first:stop], self._labels[first:stop], self._hurt[first:stop]


def _columns(world: World) -> tuple[tuple[str, dict[str, str]], ...]:
    """Metric and labels of every series of a version, in the order of the counters."""
    bounds, ratios = (*(f"{b:g}" for b in world.bounds), "+Inf"), world.scenario.ratios
    return (
        *((PREDICTIONS, {"outcome": outcome}) for outcome in OUTCOMES),
        *((SECONDS, {"le": bound}) for bound in bounds),
        *((SCORES, {"bin": str(i), "le": edge}) for i, edge in enumerate(_edges(world.scenario.scores))),
        *((f"{ratio.part}_total", {}) for ratio in ratios),
        *((f"{ratio.whole}_total", {}) for ratio in ratios),
        (LABELLED, {"truth": "yes", "predicted": "yes"}),
        (LABELLED, {"truth": "yes", "predicted": "no"}),
    )


def _edges(bins: int) -> list[str]:
    return [*(f"{(i + 1) / bins:g}" for i in range(bins - 1)), "+Inf"]


def moment(second: float) -> datetime:
    """The time at that second of the world."""
    return START + timedelta(seconds=second)


def _milliseconds(at: datetime) -> int:
    return round((at - START) / timedelta(milliseconds=1))
