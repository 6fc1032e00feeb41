"""The collector's metrics. However many loops, versions and classes callers send, the series are bounded.

The first `LOOPS` loops have series of their own; of each the `VERSIONS` versions that were labelled last, of each of
these the first `CLASSES` classes, and `CELLS` cells in all. The rest is counted under `other`.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from serinus.facts import Record
from serinus.facts.records import LabelOutcome, PredictionOutcome

LOOPS, VERSIONS, CLASSES, CELLS = 200, 20, 50, 20_000
OTHER = "other"
_WHERE = ("loop_namespace", "loop")
_LABEL_OUTCOMES, _OUTCOMES = get_args(LabelOutcome), get_args(PredictionOutcome)
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True)
class Joined:
    """Rows of one version that have their first truth now."""

    version: int
    truth: str  # "" of a regression
    answer: str  # "" of a regression
    rows: int
    absolute: float = 0.0  # regression: sum of |prediction - truth|
    squares: float = 0.0  # regression: sum of (prediction - truth)²


def joins(records: Iterable[Record]) -> tuple[Joined, ...]:
    """Records that have a truth, counted."""
    cells: dict[tuple[int, str, str], list[float]] = {}
    for record in records:
        prediction, truth = record.prediction, record.truth
        error = 0.0
        if not prediction.answer:
            error = prediction.score - float(truth) if isinstance(truth, float | int) else math.nan
            if math.isnan(error):
                continue  # a truth that is no number says nothing of a value
        cell = (prediction.version, str(truth) if prediction.answer else "", prediction.answer)
        sums = cells.setdefault(cell, [0, 0.0, 0.0])
        for place, add in enumerate((1, abs(error), error * error)):
            sums[place] += add
    return tuple(Joined(*cell, int(sums[0]), sums[1], sums[2]) for cell, sums in cells.items())


@dataclass
class _Version:
    classes: set[str] = field(default_factory=set)
    cells: set[tuple[str, str]] = field(default_factory=set)


class CollectorMetrics:
    """Counted by any thread."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._lock = threading.Lock()
        self._loops: dict[tuple[str, str], OrderedDict[str, _Version]] = {}
        self._cells = 0

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._labelled = counter(
            "serinus_labelled_total",
            "Rows by their first truth and what was predicted; both empty of a regression",
            *_WHERE, "version", "truth", "predicted",
        )  # fmt: skip
        self._absolute = counter(
            "serinus_labelled_absolute_error_total",
            "Sum of |prediction - truth| of labelled rows of a regression",
            *_WHERE, "version",
        )  # fmt: skip
        self._squared = counter(
            "serinus_labelled_squared_error_total",
            "Sum of (prediction - truth)² of labelled rows of a regression",
            *_WHERE, "version",
        )  # fmt: skip
        self._labels = counter("serinus_labels_total", "Labels by what became of them", *_WHERE, "outcome")
        self._collected = counter("serinus_collected_total", "Predictions by what became of them", *_WHERE, "outcome")
        self._expired = counter("serinus_collector_expired_total", "Rows whose retention was over", *_WHERE)
        self.events = counter(
            "serinus_collector_events_total",
            "Events of payload loggers: taken; of these paired, or unpaired for too long; and invalid",
            "outcome",
        )
        for outcome in ("taken", "paired", "unpaired", "invalid"):
            self.events.labels(outcome)
        self.retention_failures = counter(
            "serinus_collector_retention_failures_total", "Loops whose old rows could not be looked for or forgotten"
        )
        self.seconds = Histogram(
            "serinus_collector_request_seconds",
            "From the request's head to its answer, the upload included",
            ("route", "code"),
            registry=registry,
            buckets=_BUCKETS,
        )
        self.in_flight = Gauge("serinus_collector_in_flight", "Requests in work or waiting", registry=registry)
        self.pending = Gauge("serinus_collector_pending_bytes", "Bodies held for them", registry=registry)
        self.database_up = Gauge(
            "serinus_collector_database_up", "Whether the database answered last", registry=registry
        )

    def labels(self, namespace: str, loop: str, outcomes: Mapping[str, int]) -> None:
        """Count what became of labels."""
        self._count(self._labels, namespace, loop, outcomes)

    def predictions(self, namespace: str, loop: str, outcomes: Mapping[str, int]) -> None:
        """Count what became of predictions."""
        self._count(self._collected, namespace, loop, outcomes)

    def expired(self, namespace: str, loop: str, rows: int) -> None:
        """Count rows that were forgotten."""
        with self._lock:
            self._expired.labels(*self._place(namespace, loop)).inc(rows)

    def joined(self, namespace: str, loop: str, joins: Iterable[Joined]) -> None:
        """Count rows that have a truth now."""
        with self._lock:
            place = self._place(namespace, loop)
            for join in joins:
                version = self._version(place, join.version)
                truth, answer = self._cell(place, version, join.truth, join.answer)
                self._labelled.labels(*place, version, truth, answer).inc(join.rows)
                if not join.answer:
                    self._absolute.labels(*place, version).inc(join.absolute)
                    self._squared.labels(*place, version).inc(join.squares)

    # --- under the lock --------------------------------------------------------------------------------------------

    def _count(self, counter: Counter, namespace: str, loop: str, outcomes: Mapping[str, int]) -> None:
        with self._lock:
            place = self._place(namespace, loop)
            for outcome, number in outcomes.items():
                counter.labels(*place, outcome).inc(number)

    def _place(self, namespace: str, loop: str) -> tuple[str, str]:
        place = (namespace, loop)
        if place in self._loops:
            return place
        if len(self._loops) > LOOPS:  # OTHER itself is one of them
            place = (OTHER, OTHER)
        if place not in self._loops:
            self._loops[place] = OrderedDict()
            self._start(self._labels, place, _LABEL_OUTCOMES)
            self._start(self._collected, place, _OUTCOMES)
        return place

    def _start(self, counter: Counter, place: Sequence[str], outcomes: Sequence[str]) -> None:
        for outcome in outcomes:
            counter.labels(*place, outcome)

    def _version(self, place: tuple[str, str], number: int) -> str:
        versions, version = self._loops[place], str(number)
        if place == (OTHER, OTHER):
            version = OTHER
        if version in versions:
            versions.move_to_end(version)
            return version
        if len(versions) >= VERSIONS:
            self._forget(place, *versions.popitem(last=False))
        versions[version] = _Version()
        return version

    def _forget(self, place: tuple[str, str], version: str, held: _Version) -> None:
        for truth, answer in held.cells:
            self._labelled.remove(*place, version, truth, answer)
            if not answer:
                self._absolute.remove(*place, version)
                self._squared.remove(*place, version)
        self._cells -= len(held.cells)

    def _cell(self, place: tuple[str, str], version: str, truth: str, answer: str) -> tuple[str, str]:
        held = self._loops[place][version]
        if (truth, answer) in held.cells:
            return truth, answer
        full = self._cells >= CELLS
        cell = (self._class(held, truth, full), self._class(held, answer, full))
        if cell not in held.cells:
            held.cells.add(cell)
            self._cells += 1
        return cell

    def _class(self, held: _Version, name: str, full: bool) -> str:
        if name not in held.classes:
            if name and (full or len(held.classes) >= CLASSES):
                return OTHER
            held.classes.add(name)
        return name
