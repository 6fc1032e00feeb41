"""Counters in memory, held to Prometheus' behaviour by the contract suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from serinus.errors import Unavailable
from serinus.facts import Series
from serinus.stats.counters import gain

Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class FakeMetrics:
    """Metrics that hold what `scrape` put into them.

    >>> metrics = FakeMetrics()
    >>> metrics.scrape("serinus_predictions_total", {"loop": "a", "outcome": "ok"}, now, 12)
    """

    lookback: timedelta = timedelta(minutes=5)
    memory: timedelta = timedelta(days=1)
    away: str = ""  # why it cannot be asked, while it cannot
    samples: dict[Key, list[tuple[int, float]]] = field(default_factory=dict)

    def scrape(self, metric: str, labels: Mapping[str, str], at: datetime, value: float) -> None:
        """Keep that a series had `value` at `at`; samples may come in any order."""
        kept = self.samples.setdefault((metric, tuple(sorted(labels.items()))), [])
        kept.append((_milliseconds(at), float(value)))
        kept.sort()

    def increases(self, metric: str, labels: Mapping[str, str], start: datetime, end: datetime) -> tuple[Series, ...]:
        """What every series of `metric` with `labels` gained in (start, end]; empty when there is no such series."""
        first, last = _milliseconds(start), _milliseconds(end)
        if first >= last:
            raise ValueError(f"expected start before end, got {start.isoformat()} and {end.isoformat()}")
        if self.away:
            raise Unavailable(self.away)
        found = []
        for (name, pairs), samples in sorted(self.samples.items()):
            known = dict(pairs)
            seen = any(first - self.lookback / timedelta(milliseconds=1) <= at <= last for at, _ in samples)
            if name == metric and seen and all(known.get(k, "") == v for k, v in labels.items()):
                remembered = [s for s in samples if s[0] >= first - self.memory / timedelta(milliseconds=1)]
                found.append(Series(known, *gain(remembered, first, last)))
        return tuple(found)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
