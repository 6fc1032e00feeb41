"""A world's traffic, drawn: what is shared once a seed, what each arm gets by the minute and the canary's weight.

The traffic of a minute at a weight depends on the scenario, the seed, the minute and the weight, and on nothing else:
two judges that give the canary the same weight at the same time see the same requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from scipy.special import ndtr

from services.predictor.metrics import BUCKETS
from tests.simulation.worlds.facts import Clusters, Latency, Load, Scenario

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CHUNK = 60  # seconds drawn at once
MEMORY = 0.99  # correlation from one second to the next of what wanders
OUTCOMES = ("ok", "invalid", "error")
SLOW = 2.5  # a Pareto tail starts at so many medians


@dataclass(frozen=True)
class Traffic:
    """What both arms (0: stable, 1: canary) counted in each second: new counts, not yet summed over time.

    outcomes: (2, seconds, 3); buckets: (2, seconds, len(bounds) + 1), by upper bound, not cumulative, the last one is
    beyond all; scores: (2, seconds, bins); labels: (2, seconds, 2 * truths), right and wrong of each kind, by when
    it was answered; parts: (2, seconds, ratios); hurt: (seconds,), the canary's answers that stable would have given
    better.
    """

    outcomes: Ints
    buckets: Ints
    scores: Ints
    labels: Ints
    parts: Ints
    hurt: Floats


class World:
    """One seed's draw of `scenario`, `horizon` seconds long; the canary gets its first traffic at second `begin`."""

    def __init__(self, scenario: Scenario, seed: int, horizon: int, begin: int = 0, threshold: float = 0.25) -> None:
        """threshold: the latency guardrail's, for which predictors have a bucket; seconds."""
        self.scenario, self.seed, self.horizon, self.begin = scenario, seed, horizon, begin
        self.bounds = tuple(sorted({*BUCKETS, threshold}))
        self._rng = np.random.default_rng((seed, 0))
        self._drawn: dict[tuple[int, int], Traffic] = {}
        rng, n, s = self._rng, horizon, scenario
        self.rate = _rate(s.load, n, rng)
        factor = np.exp(s.failures.wander * _wander(rng, n) - s.failures.wander**2 / 2)
        away = _spells(rng, n, s.failures.outage_every, s.failures.outage_for)
        self.failing = np.where(away, s.failures.outage_rate, np.minimum(s.failures.rate * factor, 1.0))
        self.slowness = np.where(_spells(rng, n, s.latency.spell_every, s.latency.spell_for), s.latency.spell, 1.0)
        self.pauses = rng.random((2, n)) < s.latency.pause
        self.tilt = s.tilt * _wander(rng, n)
        self.events = [_events(c, n, rng) for c in s.clusters]
        self.unscraped = self._unscraped(rng)
        self.resets = rng.random((2, n)) < (1 / s.scraping.reset_every if s.scraping.reset_every else 0.0)

    @cached_property
    def harmful(self) -> npt.NDArray[np.bool_]:
        """By second: whether the canary's harm has begun."""
        return np.arange(self.horizon) >= self.begin + self.scenario.harm.after

    def chunk(self, number: int, weight: int) -> Traffic:
        """Seconds [number * CHUNK, (number + 1) * CHUNK) with `weight` % for the canary."""
        key = (number, weight)
        if key not in self._drawn:
            if len(self._drawn) > 8:
                self._drawn.clear()
            self._drawn[key] = self._draw(number, weight)
        return self._drawn[key]

    def _draw(self, number: int, weight: int) -> Traffic:
        rng = np.random.default_rng((self.seed, 1 + number, weight))
        s, span = self.scenario, slice(number * CHUNK, min((number + 1) * CHUNK, self.horizon))
        shares = np.array([[1 - weight / 100], [weight / 100]])
        harmful = self.harmful[span]
        requests = rng.poisson(shares * self.rate[span])
        rejected = rng.binomial(requests, s.rejected)
        extra = s.harm.errors * harmful
        rates = np.minimum(np.stack([self.failing[span], self.failing[span] + extra]), 1.0)
        errors = rng.binomial(requests - rejected, rates)
        ok = requests - rejected - errors
        hurt = (requests - rejected)[1] * _hurt(s, harmful, rates)
        for cluster, events in zip(s.clusters, self.events, strict=True):
            come = _land(cluster, events, span, weight / 100, rng)
            if cluster.canary_only:
                come[1] *= harmful
                hurt = hurt + come[1]
            if cluster.outcome == "error":
                errors = errors + come
            else:
                rejected = rejected + come
        answers = ok + errors
        return Traffic(
            np.stack([ok, rejected, errors], axis=-1),
            rng.multinomial(answers, self._times(span)),
            self._scores(rng, ok, span),
            self._labels(rng, ok, harmful),
            self._parts(rng, ok, harmful),
            hurt,
        )

    def _parts(self, rng: np.random.Generator, ok: Ints, harmful: npt.NDArray[np.bool_]) -> Ints:
        parts = [_of_arm(rng, ok, ratio.stable, ratio.canary, harmful) for ratio in self.scenario.ratios]
        return np.stack(parts, axis=-1) if parts else np.zeros((*ok.shape, 0), dtype=np.int64)

    def _labels(self, rng: np.random.Generator, ok: Ints, harmful: npt.NDArray[np.bool_]) -> Ints:
        kinds = []
        for truth in self.scenario.truths:
            labelled = rng.binomial(ok, truth.share)
            wrong = _of_arm(rng, labelled, truth.stable, truth.canary, harmful)
            kinds += [labelled - wrong, wrong]
        return np.stack(kinds, axis=-1) if kinds else np.zeros((*ok.shape, 0), dtype=np.int64)

    def _times(self, span: slice) -> Floats:
        """Shares of answers by latency bucket; shape (2, seconds, buckets)."""
        s, second = self.scenario, np.arange(span.start, span.stop)
        warm = 1 + (s.warm_up.factor - 1) * np.exp(-np.maximum(second - self.begin, 0) / s.warm_up.seconds)
        slower = np.where(self.harmful[span], s.harm.slower, 1.0)
        factors = np.stack([self.slowness[span], self.slowness[span] * warm * slower])
        below = _below(s.latency, np.array(self.bounds), factors)
        stands = (np.array(self.bounds) >= s.latency.pause_for).astype(float)
        below = np.where(self.pauses[:, span, None], stands, below)
        return np.diff(below, axis=-1, prepend=0.0, append=1.0).clip(0)

    def _scores(self, rng: np.random.Generator, ok: Ints, span: slice) -> Ints:
        bins, harm = self.scenario.scores, self.scenario.harm
        shares = np.exp(self.tilt[span, None] * np.linspace(-0.5, 0.5, bins))
        shares /= shares.sum(axis=1, keepdims=True)
        same = (harm.constant * self.harmful[span])[:, None]
        collapsed = (1 - same) * shares + same * (np.arange(bins) == 0)
        return rng.multinomial(ok, np.stack([shares, collapsed]))

    def _unscraped(self, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        """By arm and second: whether a scrape then fails."""
        scraping, n = self.scenario.scraping, self.horizon
        missed = rng.random((2, n)) < scraping.missed
        if scraping.gap_every:
            gaps = _spells(rng, n, scraping.gap_every, scraping.gap_for)
            number = np.cumsum(np.diff(gaps, prepend=False) & gaps)  # which gap it is
            whose = rng.integers(2, size=n + 1)[number]
            missed |= gaps & (whose == np.array([[0], [1]]))
        return missed


def _rate(load: Load, n: int, rng: np.random.Generator) -> Floats:
    start = rng.random() * load.day
    wave = 1 + load.swing * np.sin(2 * math.pi * (start + np.arange(n)) / load.day)
    bursting = _spells(rng, n, load.burst_every, load.burst_for) if load.burst != 1.0 else np.zeros(n, dtype=bool)
    share = load.burst_for / (load.burst_every + load.burst_for)
    calm = load.rate / (1 + share * (load.burst - 1))
    rate: Floats = calm * wave * np.where(bursting, load.burst, 1.0)
    return rate


def _wander(rng: np.random.Generator, n: int) -> Floats:
    """A stationary walk around 0 with standard deviation 1: each second remembers MEMORY of the one before."""
    noise = rng.normal(size=n) * math.sqrt(1 - MEMORY**2)
    noise[0] /= math.sqrt(1 - MEMORY**2)
    walk: Floats = lfilter([1.0], [1.0, -MEMORY], noise)
    return walk


def _spells(rng: np.random.Generator, n: int, every: float, lasting: float) -> npt.NDArray[np.bool_]:
    """Seconds that are in a spell: exponential lengths, `every` apart in the mean from an end to the next start."""
    inside = np.zeros(n, dtype=bool)
    if not every:
        return inside
    count = int(2 * n / (every + lasting)) + 20
    lengths = rng.exponential((every, lasting), size=(count, 2))
    if rng.random() < lasting / (every + lasting):  # begins inside one
        lengths[0, 0] = 0.0
    times = np.cumsum(lengths.ravel()).reshape(-1, 2)
    for start, end in np.minimum(np.ceil(times), n).astype(int).tolist():
        inside[start:end] = True
    return inside


def _events(cluster: Clusters, n: int, rng: np.random.Generator) -> Floats:
    """Events in the order of time; rows of (second, requests, uniform of the whole event, whether it sticks)."""
    count = int(rng.poisson(n / cluster.every))
    when = np.sort(rng.integers(0, n, count))
    sizes = np.exp(rng.uniform(math.log(cluster.least), math.log(cluster.most + 1), count)).astype(int)
    arm, sticks = rng.random(count), rng.random(count) < cluster.sticky
    rows = []
    for at, size, u, sticky in zip(when.tolist(), sizes.tolist(), arm.tolist(), sticks.tolist(), strict=True):
        parts = rng.multinomial(size, [1 / cluster.spread] * cluster.spread)
        rows += [(at + i, part, u, sticky) for i, part in enumerate(parts.tolist()) if part and at + i < n]
    rows.sort(key=lambda row: row[0])
    return np.array(rows, dtype=float).reshape(-1, 4)


def _land(cluster: Clusters, events: Floats, span: slice, share: float, rng: np.random.Generator) -> Ints:
    """How many of a cluster's requests each arm gets in each second of `span`; shape (2, seconds)."""
    came = np.zeros((2, span.stop - span.start), dtype=np.int64)
    first, last = np.searchsorted(events[:, 0], (span.start, span.stop))
    at = (events[first:last, 0] - span.start).astype(int)
    sizes = events[first:last, 1].astype(np.int64)
    whole = np.where(events[first:last, 2] < share, sizes, 0)
    canary = np.where(events[first:last, 3] > 0, whole, rng.binomial(sizes, share))
    if cluster.canary_only:
        canary = sizes * (share > 0)
    np.add.at(came[1], at, canary)
    np.add.at(came[0], at, 0 if cluster.canary_only else sizes - canary)
    return came


def _of_arm(
    rng: np.random.Generator, trials: Ints, stable: float, canary: float, harmful: npt.NDArray[np.bool_]
) -> Ints:
    """How many of each arm's trials; the canary is as stable until its harm begins."""
    later = np.where(harmful, canary, stable)
    return rng.binomial(trials, np.stack([np.full_like(later, stable), later]))


def _below(latency: Latency, bounds: Floats, factors: Floats) -> Floats:
    """The share of answers within each bound; shape of `factors` with one more axis."""
    scaled = bounds / (latency.median * factors[..., None])
    body = ndtr(np.log(scaled) / latency.sigma)
    tail = 1 - (np.maximum(scaled, SLOW) / SLOW) ** -latency.index
    share: Floats = (1 - latency.tail) * body + latency.tail * tail
    return share


def _hurt(scenario: Scenario, harmful: npt.NDArray[np.bool_], rates: Floats) -> Floats:
    """By second: the chance that an answer of the canary is worse than stable's would have been."""
    harm = scenario.harm
    apart = [abs(d.stable - d.canary) for d in scenario.ratios]
    apart += [t.share * abs(t.stable - t.canary) for t in scenario.truths]
    worse = 1.0 if harm.slower > 1 else max(harm.constant, *apart, 0.0)
    return np.asarray(np.maximum(rates[1] - rates[0], harmful * worse))
