"""Argo Rollouts' background analysis of a canary: a fixed limit at intervals, so many failed measurements abort.

https://argo-rollouts.readthedocs.io/en/stable/features/analysis/#background-analysis: weights 20, 40, 60, 80 % for ten
minutes each, a success rate measured every 5 minutes, "less than 95 %, and there are three such measurements" fails.
The documented query is of `irate`, the rate between the last two samples: 15 s apart, as is usual. A query without a
number meets no condition, and is a failed measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.judges.measures import Measured, measure
from tests.simulation.worlds.play import BEGIN, Ended
from tests.simulation.worlds.scrapes import CANARY, Prometheus


@dataclass(frozen=True)
class Rules:
    """The documented example's values."""

    steps: tuple[int, ...] = (20, 40, 60, 80)
    pause: int = 600
    interval: int = 300
    window: int = 15
    success: float = 0.95
    failures: int = 3


def failed(rules: Rules, canary: Measured) -> bool:
    """Whether a measurement fails."""
    return not 1 - canary.error_rate >= rules.success  # NaN is no success


def weight(rules: Rules, seconds: int) -> int:
    """The canary's share so long after its first traffic; 100 once all steps are over."""
    step = seconds // rules.pause
    return rules.steps[step] if step < len(rules.steps) else 100


class Argo:
    """Measurements until they fail, or all steps are over."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self.every = self._rules.interval
        self._failed = 0

    def look(self, seen: Prometheus, second: int) -> Ended | None:
        """The first look only sends traffic."""
        if second > BEGIN:
            found = measure(seen, CANARY, second - self._rules.window, second)
            self._failed += failed(self._rules, found)
            if self._failed >= self._rules.failures:
                return Ended("rollback", "harm", f"{self._failed} failed measurements, the last one: {found}")
        share = weight(self._rules, second - BEGIN)
        if share == 100:
            return Ended("promote", "", f"all steps with {self._failed} failed measurements")
        seen.weight = share
        return None
