"""SageMaker's deployment guardrails: canary traffic shifting that CloudWatch alarms roll back.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green-canary.html: 30 %, ten minutes' baking,
then everything and ten minutes more; any alarm rolls back.
https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html, the two alarms: the average of
errors of both fleets over 1 (taken as percent: an average of zeros and ones is never over 1), two periods of ten
minutes; the new fleet's average latency over 100 ms, two periods of five. Errors are 5xx here, as the page offers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.judges.measures import Measured, measure
from tests.simulation.worlds.play import BEGIN, Ended
from tests.simulation.worlds.scrapes import CANARY, STABLE, Prometheus


@dataclass(frozen=True)
class Rules:
    """The documented example's values."""

    canary: int = 30
    bake: int = 600
    errors: float = 0.01
    errors_period: int = 600
    latency: float = 0.1
    latency_period: int = 300
    periods: int = 2


def alarmed(values: Sequence[float], limit: float, periods: int) -> bool:
    """Whether the last `periods` values are all over the limit; missing ones (NaN) are not."""
    return len(values) >= periods and all(value > limit for value in values[-periods:])


def both(one: Measured, other: Measured) -> float:
    """The error rate of two fleets together."""
    requests = one.requests + other.requests
    return (one.errors + other.errors) / requests if requests else 0.0


class SageMaker:
    """Alarms looked at when a period ends."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self.every = self._rules.latency_period
        self._errors: list[float] = []
        self._latency: list[float] = []

    def look(self, seen: Prometheus, second: int) -> Ended | None:
        """The first look only sends traffic."""
        rules, passed = self._rules, second - BEGIN
        if passed:
            self._latency.append(measure(seen, CANARY, second - rules.latency_period, second).mean)
        if passed and passed % rules.errors_period == 0:
            fleets = [measure(seen, version, second - rules.errors_period, second) for version in (STABLE, CANARY)]
            self._errors.append(both(*fleets))
        if alarmed(self._errors, rules.errors, rules.periods):
            return Ended("rollback", "harm", f"error rates {self._errors}")
        if alarmed(self._latency, rules.latency, rules.periods):
            return Ended("rollback", "harm", f"latencies {self._latency}")
        if passed >= 2 * rules.bake:
            return Ended("promote", "", "both baking periods without an alarm")
        seen.weight = rules.canary if passed < rules.bake else 100
        return None
