"""Kayenta's default judge: a Mann-Whitney test a metric and run, a score, two thresholds.

https://spinnaker.io/docs/guides/user/canary/best-practices/: three runs of an hour, at least 50 points a metric and
run, thresholds 75 and 95, a baseline of the canary's size; https://spinnaker.io/docs/guides/user/canary/judge/: a
metric is High when a nonparametric test finds the canary's series above the baseline's, the score is the share of
metrics that pass. The test as the classifier's parameters have it: Mann-Whitney with a confidence interval of 98 % for
the shift, High when the interval lies above a quarter of the estimated shift. A point is a minute; the metrics are the
error rate and the P99. The share of traffic is not documented: 10 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.judges.measures import Measured, measure
from tests.simulation.worlds.play import BEGIN, Ended
from tests.simulation.worlds.scrapes import CANARY, STABLE, Prometheus

_Z = 2.3263  # of a two-sided confidence of 98 %


@dataclass(frozen=True)
class Rules:
    """The documented starting points."""

    weight: int = 10
    point: int = 60
    run: int = 3600
    runs: int = 3
    marginal: float = 75.0
    passing: float = 95.0
    tolerance: float = 0.25


def high(baseline: Sequence[float], canary: Sequence[float], tolerance: float = 0.25) -> bool:
    """Whether the canary's series lies above the baseline's; points without a number are left out.

    The interval is Hodges' and Lehmann's for the shift, with the normal approximation of the rank sum's distribution.
    """
    one, other = ([v for v in series if not math.isnan(v)] for series in (baseline, canary))
    n, m = len(one), len(other)
    if n == 0 or m == 0:
        return False  # no data is not a failure
    shifts = np.sort(np.subtract.outer(np.array(other), np.array(one)).ravel())
    low = int(n * m / 2 - _Z * math.sqrt(n * m * (n + m + 1) / 12))
    return low >= 0 and float(shifts[low]) > tolerance * abs(float(np.median(shifts)))


def score(metrics: Sequence[bool]) -> float:
    """Of metrics that are High or not: the share of those that are not, in percent."""
    return 100 * (len(metrics) - sum(metrics)) / len(metrics)


class Kayenta:
    """A run's points are gathered minute by minute and judged at its end."""

    def __init__(self, rules: Rules | None = None, seed: int = 0) -> None:
        """seed: of the draw of a baseline as large as the canary from stable's counts."""
        self._rules, self._rng = rules or Rules(), np.random.default_rng(seed)
        self.every = self._rules.point
        self._points: list[tuple[Measured, Measured]] = []
        self._judged = 0

    def look(self, seen: Prometheus, second: int) -> Ended | None:
        """The first look only sends traffic."""
        rules = self._rules
        seen.weight = rules.weight
        if second == BEGIN:
            return None
        stable, canary = (measure(seen, version, second - rules.point, second) for version in (STABLE, CANARY))
        self._points.append((self._sized(stable), canary))
        if len(self._points) < rules.run // rules.point:
            return None
        baseline, tried = [b for b, _ in self._points], [c for _, c in self._points]
        errors = high([m.error_rate for m in baseline], [m.error_rate for m in tried], rules.tolerance)
        found = score([errors, high([m.p99 for m in baseline], [m.p99 for m in tried], rules.tolerance)])
        self._points, self._judged = [], self._judged + 1
        if found < rules.marginal or (self._judged == rules.runs and found <= rules.passing):
            return Ended("rollback", "harm", f"run {self._judged} scored {found:.0f}")
        return Ended("promote", "", f"the last run scored {found:.0f}") if self._judged == rules.runs else None

    def _sized(self, stable: Measured) -> Measured:
        """Stable's minute as a baseline of the canary's size would have had it."""
        share = self._rules.weight / (100 - self._rules.weight)
        good = int(self._rng.binomial(stable.requests - stable.errors, share))
        errors = int(self._rng.binomial(stable.errors, share))
        return Measured(good + errors, errors, stable.p99, stable.mean)
