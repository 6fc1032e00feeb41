"""All that Serinus tells Prometheus, from the programs' own registries, in a moment when there is much to tell."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from prometheus_client import CollectorRegistry, start_http_server

from serinus.decide.events import KINDS
from serinus.facts import DriftFinding, Event, FeatureDrift, Plan, RunRecord, Status, Verdict, Window
from services.operator.metrics import RESULTS, OperatorMetrics
from services.predictor.inputs import inputs, read
from services.predictor.metrics import OUTCOMES, Counters, count_rows, counters
from tests.unit.loop_cases import NOW, SPEC, canary, routing
from tests.unit.test_predictor_inputs import GOOD, contract, v1

LOOP = contract().loop
OLD, NEW = "1", "2"
"""The champion and the canary."""

_FIGURES = {"log_harm": 1.0, "log_harm_needed": 4.0, "log_safe": 2.0, "log_safe_needed": 3.0}
_DRIFT = DriftFinding(
    1, Window(NOW - timedelta(hours=1), NOW), 700, Verdict("drift", "fail", "temp moved"),
    (FeatureDrift("weight", 0.0, 0.3, True),),
)  # fmt: skip
STATUS = replace(
    Status(LOOP, champion=1, decided=1),
    rollout=canary(verdicts=(Verdict("errors", "undecided", "", _FIGURES), Verdict("latency", "pass", "", _FIGURES))),
    last_run=RunRecord("parcels-drift-1", "drift", NOW, NOW, "succeeded"),
    drift=(_DRIFT,),
    notices={"registry": "away"},
)


@dataclass
class Telling:
    """An operator with one loop, and the two predictors of its rollout."""

    operator: OperatorMetrics
    predictors: dict[str, tuple[Counters, CollectorRegistry]]

    def happen(self) -> None:
        """Something of everything happens once more."""
        events = tuple(Event(NOW, kind, "") for kind in KINDS)
        self.operator.fleet.of(LOOP).show(Plan(STATUS, events=events), routing((1, 80), (2, 20)), SPEC, NOW)
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

    def registries(self) -> tuple[CollectorRegistry, ...]:
        """What is scraped, each at an address of its own."""
        return (self.operator.registry, *(registry for _, registry in self.predictors.values()))


def telling() -> Telling:
    """Programs that have begun, and to which everything happened once."""
    predictors = {}
    for version in (OLD, NEW):
        registry = CollectorRegistry()
        predictors[version] = (counters(contract(), version, 0.25, registry), registry)
    told = Telling(OperatorMetrics(), predictors)
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
