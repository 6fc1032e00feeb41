"""All that Serinus tells Prometheus, from the programs' own registries, in a moment when there is much to tell."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import get_args

from prometheus_client import CollectorRegistry, start_http_server

from serinus.decide.events import KINDS
from serinus.facts import (
    DriftFinding,
    Event,
    FeatureDrift,
    Measured,
    Plan,
    QualityFinding,
    QualityWindow,
    RunRecord,
    Status,
    Verdict,
    Window,
)
from serinus.facts.records import LabelOutcome, PredictionOutcome
from services.collector.metrics import CollectorMetrics, Joined
from services.operator.metrics import RESULTS, OperatorMetrics
from services.predictor import collecting
from services.predictor.inputs import inputs, read
from services.predictor.metrics import OUTCOMES, Counters, count_rows, counters
from tests.unit.loop_cases import NOW, canary, routing, spec
from tests.unit.test_predictor_inputs import GOOD, contract, v1

LOOP = contract().loop
OLD, NEW = "1", "2"
"""The champion and the canary."""

_FIGURES = {"log_harm": 1.0, "log_harm_needed": 4.0, "log_safe": 2.0, "log_safe_needed": 3.0}
_DRIFT = DriftFinding(
    1, Window(NOW - timedelta(hours=1), NOW), 700, Verdict("drift", "fail", "temp moved"),
    (FeatureDrift("weight", 0.0, 0.3, True),),
)  # fmt: skip
_HOUR = Window(NOW - timedelta(hours=1), NOW)
_QUALITY = QualityFinding(
    1, "roc_auc", _HOUR, Verdict("quality", "fail", "worse"),
    (
        QualityWindow(
            _HOUR, 400, 300, True, Measured(0.7, 0.01, 0.68, 0.72, 300), Measured(0.9, 0.01, 0.88, 0.92, 400), worth=5.0
        ),
    ),
)  # fmt: skip
_SPEC = spec("collect: {}\n  quality: {}")
STATUS = replace(
    Status(LOOP, champion=1, decided=1),
    rollout=canary(verdicts=(Verdict("errors", "undecided", "", _FIGURES), Verdict("latency", "pass", "", _FIGURES))),
    last_run=RunRecord("parcels-drift-1", "drift", NOW, NOW, "succeeded"),
    drift=(_DRIFT,),
    quality=_QUALITY,
    notices={"registry": "away"},
)


@dataclass
class Telling:
    """An operator with one loop, the two predictors of its rollout, and the collector of their rows."""

    operator: OperatorMetrics
    predictors: dict[str, tuple[Counters, CollectorRegistry]]
    handed: tuple[collecting.Metrics, ...]
    collector: CollectorMetrics

    def happen(self) -> None:
        """Something of everything happens once more."""
        events = tuple(Event(NOW, kind, "") for kind in KINDS)
        self.operator.fleet.of(LOOP).show(Plan(STATUS, events=events), routing((1, 80), (2, 20)), _SPEC, NOW)
        self.operator.leader.set(1)
        self.operator.loops.set(1)
        self.operator.answered("GET", 200)
        self.operator.seconds.observe(0.1)
        for result in RESULTS:
            self.operator.looks.labels(result).inc()
        rows = read(inputs(contract(), accept_unseen=True, max_rows=9), "v1", v1(GOOD, {**GOOD, "weight": None}))
        for counted, _ in self.predictors.values():
            for outcome in OUTCOMES:
                counted.outcomes[outcome].inc()
            counted.seconds.observe(0.3)
            count_rows(counted, rows, [0.4, 0.6])

        for metrics in self.handed:
            metrics.sent.inc()
            metrics.queue.set(3)
            for dropped in metrics.dropped.values():
                dropped.inc()
        self.collector.database_up.set(1)
        self.collector.predictions("n", LOOP, dict.fromkeys(get_args(PredictionOutcome), 1))
        self.collector.labels("n", LOOP, dict.fromkeys(get_args(LabelOutcome), 1))
        self.collector.joined("n", LOOP, [Joined(1, "yes", "no", 1)])

    def registries(self) -> tuple[CollectorRegistry, ...]:
        """What is scraped, each at an address of its own."""
        return (
            self.operator.registry,
            *(registry for _, registry in self.predictors.values()),
            self.collector.registry,
        )


def telling() -> Telling:
    """Programs that have begun, and to which everything happened once."""
    predictors, handed = {}, []
    for version in (OLD, NEW):
        registry = CollectorRegistry()
        predictors[version] = (counters(contract(), version, 0.25, registry), registry)
        to = collecting.Collecting("http://collector", "n", LOOP, int(version), features=())
        handed.append(collecting.metrics(to, registry))
    told = Telling(OperatorMetrics(), predictors, tuple(handed), CollectorMetrics())
    told.happen()
    return told


@contextlib.contextmanager
def served(told: Telling) -> Iterator[tuple[str, ...]]:
    """Each registry at an address on loopback (host:port), until the block ends."""
    with contextlib.ExitStack() as stack:
        addresses = []
        for registry in told.registries():
            server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
            stack.callback(thread.join, 10)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            addresses.append(f"127.0.0.1:{server.server_address[1]}")
        yield tuple(addresses)
