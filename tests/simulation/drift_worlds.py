"""Years of windows without any drift, through the real comparison: `python -m tests.simulation.drift_worlds`.

A world makes counts by hour, of fifteen features and a score in ten quantile bins of training. A look compares the last
day with the profile; which looks could be in violation at all is told for all at once by the size of the change alone,
which no design effect makes larger, and only these go through `serinus.decide.drift.compare`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import chi2

from serinus.decide.distributions import SCALES, SCORE
from serinus.decide.drift import compare, level
from serinus.decide.retrain import drift_asks
from serinus.decide.stretches import alike
from serinus.detectors import TABLE
from serinus.facts import MISSING, Bins, DriftFinding, Profile, Stretches, Verdict, Window
from serinus.spec import DriftSpec
from serinus.spec.budget import apart
from serinus.stats.ordered import superiority

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

NAMES = (*(f"f{i}" for i in range(15)), SCORE)
TESTS = 15 * 3 + 2
BINS = 10  # beside missing and unseen
DAY, HOUR, LOOKBACK = 24, timedelta(hours=1), 8 * 24  # the latter: hours that a look may go back
SPAN = 30 * 24  # hours that are made at once
REFERENCE, LEARNED = 20_000, 60  # rows that the profile is made of, and their days
ABSENT = 0.002  # share of missing values in every feature
SLACK = 4.0  # a look is a suspect by p-values of so many times the bound
PASSED = Verdict("drift", "pass", "no change that is large enough")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
EDGES = np.array([-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816])

World = Callable[[np.random.Generator, int, int], Counts]
"""`(rng, rows a day, hours) -> counts`, shape (hours, distributions, BINS + 2); hour 0 is midnight."""


@dataclass(frozen=True)
class Told:
    """What a stretch of looks gave."""

    looks: int
    violations: int  # windows
    asks: int  # retrains, by the rule as it is set
    first: int | None  # look of the first window in violation


def independent(rng: np.random.Generator, rows: int, hours: int) -> Counts:
    """Every row by itself."""
    return _drawn(rng, _arrivals(rng, rows, hours), np.zeros((hours, len(NAMES))))


def repeated(rng: np.random.Generator, rows: int, hours: int, each: int = 20, share: float = 0.5) -> Counts:
    """Half of the rows come as the same row twenty times within the hour."""
    shifts = np.zeros((hours, len(NAMES)))
    alone = _drawn(rng, _arrivals(rng, round(rows * (1 - share)), hours), shifts)
    return alone + each * _drawn(rng, _arrivals(rng, round(rows * share / each), hours), shifts)


def bursts(rng: np.random.Generator, rows: int, hours: int) -> Counts:
    """Beside independent rows, about once a day one client sends the same row 5 to 100 times (a tenth of a day's rows
    at most).
    """
    counts = _drawn(rng, _arrivals(rng, rows, hours), np.zeros((hours, len(NAMES))))
    for at in np.flatnonzero(rng.random(hours) < 1 / DAY):
        size = min(round(math.exp(rng.uniform(math.log(5), math.log(100)))), rows // 10)
        for name in range(len(NAMES)):
            counts[at, name, rng.integers(BINS)] += size
    return counts


def lasting(rng: np.random.Generator, rows: int, hours: int, alike: float = 0.9, size: float = 0.3) -> Counts:
    """What comes depends on the hours before: means follow an autoregression, 0.3 standard deviations wide, 0.9 an
    hour.
    """
    noise = rng.normal(size=(hours + 100, len(NAMES))) * size * math.sqrt(1 - alike**2)
    means = np.zeros_like(noise)
    for at in range(1, len(noise)):
        means[at] = alike * means[at - 1] + noise[at]
    return _drawn(rng, _arrivals(rng, rows, hours), means[100:])


def daily(rng: np.random.Generator, rows: int, hours: int, size: float = 0.5) -> Counts:
    """Half of the features rise and fall by half a standard deviation within a day, and traffic with them."""
    angle = 2 * np.pi * (np.arange(hours) % DAY) / DAY
    shifts = np.where(np.arange(len(NAMES)) % 2, size, 0.0) * np.sin(angle)[:, None]
    return _drawn(rng, rng.poisson(rows / DAY * (1 + 0.5 * np.cos(angle))), shifts)


def moody(rng: np.random.Generator, rows: int, hours: int, size: float = 0.1) -> Counts:
    """Days differ: each has a mean of its own for every feature, 0.1 standard deviations wide."""
    days = rng.normal(size=(hours // DAY + 1, len(NAMES))) * size
    return _drawn(rng, _arrivals(rng, rows, hours), np.repeat(days, DAY, axis=0)[:hours])


WORLDS: dict[str, World] = {
    "independent": independent,
    "repeated": repeated,
    "bursts": bursts,
    "lasting": lasting,
    "daily": daily,
    "moody": moody,
}


def shifted(world: World, by: float, place: int = 3) -> World:
    """`world` in which one feature of independent rows is larger by so many standard deviations."""

    def made(rng: np.random.Generator, rows: int, hours: int) -> Counts:
        counts = world(rng, rows, hours)
        shifts = np.zeros((hours, 1))
        counts[:, place] = _drawn(rng, counts[:, place].sum(axis=-1), shifts + by)[:, 0]
        return counts

    return made


@dataclass(frozen=True)
class Learned:
    """What training saw of a world."""

    profile: Profile
    stretches: Stretches


def learned(world: World, seed: int, days: int = LEARNED) -> Iterator[Learned]:
    """The same number of rows, of so many days, again and again."""
    rng = np.random.default_rng([seed, 1])
    while True:
        counts = world(rng, REFERENCE // days, days * DAY)
        bins = [
            Bins(name, "numeric", tuple(EDGES.tolist()), counts=tuple(row.tolist()))
            for name, row in zip(NAMES, counts.sum(axis=0), strict=True)
        ]
        by_day = counts.reshape(days, DAY, *counts.shape[1:])
        known = {one.name: alike(one, by_day[:, :, at]) for at, one in enumerate(bins)}
        rows = int(counts.sum()) // len(NAMES)
        yield Learned(Profile(rows, tuple(bins[:-1]), bins[-1]), Stretches(timedelta(days=1).total_seconds(), known))


def years(spec: DriftSpec, world: World, rows: int, many: float, seed: int = 0) -> Told:
    """So many years of the world looked at as `spec` says (its window a day, `every` whole hours), in stretches of a
    month, each with a training of its own.
    """
    rng, made = np.random.default_rng([seed, 2]), learned(world, seed)
    every = spec.every // HOUR
    looks = violations = asks = 0
    for _ in range(round(many * 365 * DAY / SPAN)):
        told = stretch(spec, next(made), world(rng, rows, LOOKBACK + SPAN), every)
        looks, violations, asks = looks + told.looks, violations + told.violations, asks + told.asks
    return Told(looks, violations, asks, None)


def stretch(spec: DriftSpec, known: Learned, counts: Counts, every: int) -> Told:
    """All looks of one stretch of hours, of which the first `LOOKBACK` are only looked back at."""
    ends = np.arange(LOOKBACK + every, len(counts) + 1, every)
    suspects = set(ends[could(spec, known.profile, counts, ends)].tolist())
    findings: list[DriftFinding] = []
    violations, asks, first, ended = 0, 0, None, None
    for place, end in enumerate(ends.tolist()):
        now = BEGIN + end * HOUR
        found = look(spec, known, counts, end) if end in suspects else None
        fails = found is not None and found.verdict.outcome == "fail"
        if found is None or not fails:
            # A look that is no suspect passes; what it would say besides, nobody asks.
            found = DriftFinding(1, Window(now - spec.window, now), 0, PASSED)
        findings = [*findings, found][-20:]
        violations += fails
        first = place if fails and first is None else first
        if drift_asks(spec, findings, ended, running=False, now=now):
            asks, ended, findings = asks + 1, now, []
    return Told(len(ends), violations, asks, first)


def look(spec: DriftSpec, known: Learned, counts: Counts, end: int) -> DriftFinding:
    """The real comparison of the day that ends with hour `end`, with its parts and the windows before it."""
    now = BEGIN + end * HOUR
    windows = [_told(counts[at - DAY : at].sum(axis=0)) for at in range(end, end - LOOKBACK, -DAY)]
    parts = [_told(counts[at]) for at in range(end - DAY, end)]
    return compare(
        spec,
        1,
        known.profile,
        windows[0],
        windows[0][SCORE],
        p_values=TABLE["scipy"],
        window=Window(now - spec.window, now),
        parts=parts,
        before=windows[:0:-1],
        stretches=known.stretches,
    )


def could(spec: DriftSpec, known: Profile, counts: Counts, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which looks have a change that is large enough, and nearly significant if rows were independent."""
    reference = np.array([bins.counts for bins in (*known.features, known.score)], dtype=np.float64)
    sums = np.concatenate([np.zeros((1, *counts.shape[1:]), dtype=np.int64), np.cumsum(counts, axis=0)])
    bound = SLACK * level(spec) / 2 / TESTS
    nearly, chi = NormalDist().inv_cdf(1 - bound / 2), float(chi2.isf(bound, BINS - 1))
    found = np.zeros(len(ends), dtype=bool)
    for scale in SCALES:
        now = (sums[ends] - sums[ends - scale * DAY]).astype(np.float64)
        size = _psi(reference, now)
        moved = superiority(reference[:, :BINS], now[..., :BINS])
        rise = now[..., BINS] / now.sum(axis=-1) - reference[:, BINS] / reference.sum(axis=-1)
        large = abs(moved.chance - 0.5) >= 0.5 * math.erf(spec.shift / 2)
        shape = (size >= spec.psi) & (_chi(reference, now) > chi)
        found |= (shape | (large & (abs(moved.z) > nearly)) | (rise >= spec.missing)).any(axis=-1)
    return found


def _psi(reference: Floats, now: Floats) -> Floats:
    """As `serinus.stats.distances.psi`, of many at once; a bin that is empty in both adds nothing."""
    used = (reference > 0) | (now > 0)
    p, q = (np.where(used, side + 0.5, 0) for side in (np.broadcast_to(reference, now.shape), now))
    p, q = p / p.sum(axis=-1, keepdims=True), q / q.sum(axis=-1, keepdims=True)
    parts = np.where(used, (p - q) * (np.log(np.where(used, p, 1)) - np.log(np.where(used, q, 1))), 0)
    found: Floats = parts.sum(axis=-1)
    return found


def _chi(reference: Floats, now: Floats) -> Floats:
    """Pearson's statistic of two rows of counts, of many at once."""
    m, n = reference.sum(axis=-1, keepdims=True), now.sum(axis=-1, keepdims=True)
    expected = np.maximum((reference + now) / (m + n), 1e-12)
    found: Floats = ((reference / m - now / n) ** 2 / expected).sum(axis=-1) / (1 / m + 1 / n)[..., 0]
    return found


def _told(counts: Counts) -> dict[str, dict[str, int]]:
    labels = (*(str(i) for i in range(BINS)), MISSING)
    return {name: dict(zip(labels, row.tolist(), strict=False)) for name, row in zip(NAMES, counts, strict=True)}


def _arrivals(rng: np.random.Generator, rows: int, hours: int) -> Counts:
    return rng.poisson(rows / DAY, size=hours)


def _drawn(rng: np.random.Generator, rows: Counts, shifts: Floats) -> Counts:
    """Rows by hour -> counts, of normal values larger by `shifts` (hours, distributions) standard deviations."""
    if shifts.any():
        below = _normal(EDGES - shifts[..., None])
        shares = np.diff(below, axis=-1, prepend=0.0, append=1.0)
    else:
        shares = np.full((*shifts.shape, BINS), 1 / BINS)
    absent = np.where(np.arange(shifts.shape[1]) == len(NAMES) - 1, 0.0, ABSENT)[:, None]
    whole = np.concatenate(
        [shares * (1 - absent), np.broadcast_to(absent, (*shifts.shape, 1)), np.zeros((*shifts.shape, 1))], axis=-1
    )
    found: Counts = rng.multinomial(np.broadcast_to(rows[:, None], shifts.shape), whole)
    return found


def _normal(values: Floats) -> Floats:
    found: Floats = ndtr(values)
    return found


def main() -> None:
    """Print how many false alarms each world gives beside how many the budget allows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=float, default=200)
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 600, 2_000, 20_000])
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--every", default="1d", help="whole hours")
    parser.add_argument("--clumps", default="measured")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    spec = DriftSpec.model_validate({"every": given.every, "minRows": 100, "clumps": given.clumps, "cooldown": "6h"})
    allowed = timedelta(days=365) * given.years / apart(spec.false_alarms)
    say(f"{given.years:g} years, a look every {given.every}, budget {spec.false_alarms}: {allowed:.0f} allowed")
    for name in given.worlds:
        for rows in given.rows:
            told = years(spec, WORLDS[name], rows, given.years, given.seed)
            found = f"{told.violations} of {told.looks} windows in violation, {told.asks} retrains asked for"
            say(f"{name:12} {rows:6} rows: {found}")


def say(line: str) -> None:
    """A line on stdout at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
