"""Flagger's canary analysis: fixed limits a minute, so many failed checks roll back.

https://docs.flagger.app/usage/deployment-strategies#canary-release (interval, threshold, stepWeight, maxWeight: weights
rise while checks pass, a failed check halts the advancement and is counted, `threshold` of them roll back) and
https://docs.flagger.app/usage/metrics#builtin-metrics (success rate at least 99 %, P99 at most 500 ms, over 1 minute);
the values are those of https://docs.flagger.app/tutorials/istio-progressive-delivery.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.judges.measures import Measured, measure
from tests.simulation.worlds.play import BEGIN, Ended
from tests.simulation.worlds.scrapes import CANARY, Prometheus


@dataclass(frozen=True)
class Rules:
    """The documented example's values."""

    interval: int = 60
    step_weight: int = 10
    max_weight: int = 50
    threshold: int = 5
    success: float = 0.99
    p99: float = 0.5


@dataclass(frozen=True)
class State:
    """Where an analysis stands."""

    weight: int
    failed: int = 0


def check(rules: Rules, state: State, canary: Measured) -> State | Ended:
    """One interval's check; an interval without any request is a failed one ("no values found")."""
    good = canary.requests > 0 and 1 - canary.error_rate >= rules.success and not canary.p99 > rules.p99
    if not good:
        failed = replace(state, failed=state.failed + 1)
        said = f"{failed.failed} failed checks, the last one: {canary}"
        return Ended("rollback", "harm", said) if failed.failed >= rules.threshold else failed
    if state.weight >= rules.max_weight:
        return Ended("promote", "", f"passed at {state.weight} %")
    return replace(state, weight=min(state.weight + rules.step_weight, rules.max_weight))


class Flagger:
    """`check` every interval."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self.every = self._rules.interval
        self._state = State(self._rules.step_weight)

    def look(self, seen: Prometheus, second: int) -> Ended | None:
        """The first look only sends traffic."""
        if second > BEGIN:
            found = check(self._rules, self._state, measure(seen, CANARY, second - self.every, second))
            if isinstance(found, Ended):
                return found
            self._state = found
        seen.weight = self._state.weight
        return None
