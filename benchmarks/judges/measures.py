"""What a tool's query would answer about one version in an interval, from the counters' increases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from serinus.decide.counts import PREDICTIONS, SECONDS
from tests.simulation.worlds.scrapes import LOOP, Prometheus, moment


@dataclass(frozen=True)
class Measured:
    """One version in one interval. Times are seconds; NaN where there was nothing to measure."""

    requests: int = 0
    errors: int = 0  # 5xx
    p99: float = math.nan
    mean: float = math.nan

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else math.nan


def measure(seen: Prometheus, version: int, start: float, end: float) -> Measured:
    """`version` in (start, end], seconds of the simulated world."""
    labels = {"loop": LOOP, "version": str(version)}
    outcomes = {
        s.labels["outcome"]: round(s.increase) for s in seen.increases(PREDICTIONS, labels, moment(start), moment(end))
    }
    found = seen.increases(SECONDS, labels, moment(start), moment(end))
    bounds, below = [float(s.labels["le"]) for s in found], [s.increase for s in found]
    return Measured(
        sum(outcomes.values()), outcomes.get("error", 0), quantile(bounds, below, 0.99), mean(bounds, below)
    )


def quantile(bounds: Sequence[float], below: Sequence[float], share: float) -> float:
    """As PromQL's histogram_quantile: linear within the bucket, the last finite bound beyond it.

    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    if not below or below[-1] <= 0:
        return math.nan
    rank = share * below[-1]
    i = next(i for i, count in enumerate(below) if count >= rank)
    if math.isinf(bounds[i]):
        return bounds[i - 1]
    low, before = (bounds[i - 1], below[i - 1]) if i else (0.0, 0.0)
    return low + (bounds[i] - low) * (rank - before) / (below[i] - before)


def mean(bounds: Sequence[float], below: Sequence[float]) -> float:
    """The mean time with every answer in the middle of its bucket; those beyond all bounds at the last one."""
    if not below or below[-1] <= 0:
        return math.nan
    total = low = before = 0.0
    for bound, count in zip(bounds, below, strict=True):
        middle = low if math.isinf(bound) else (low + bound) / 2
        total += middle * (count - before)
        low, before = bound, count
    return total / below[-1]
