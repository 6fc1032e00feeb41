"""A loop's state folder for tests of the command line, made up through the real ledger; and one that says it is up."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import MetricsHandler
from typer.testing import CliRunner, Result

from serinus.adapters.fakes.metrics import FakeMetrics
from serinus.adapters.fakes.registry import FakeRegistry
from serinus.adapters.fakes.router import FakeRouter
from serinus.adapters.fakes.runner import FakeRunner
from serinus.adapters.file_ledger import FileLedger
from serinus.facts import (
    DriftFinding,
    Event,
    FeatureDrift,
    Plan,
    Rollout,
    RoutingState,
    RunRecord,
    Status,
    VariantState,
    Verdict,
    Window,
)
from serinus.spec import ModelLoop
from services import driver
from services.cli.main import app
from services.driver import Ports
from services.local import card as cards
from services.local.addresses import HOST, Addresses, free_port
from services.metrics import LoopMetrics

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flights" / "loop.yaml"
LOOP = "flight-delay"
NOW = datetime.now(UTC)

EVENTS = (
    Event(NOW - timedelta(days=3), "RunRequested", "flight-delay-initial-1: the loop has no model yet"),
    Event(NOW - timedelta(hours=2), "Promoted", "version 3 serves everyone", 3, {"auc": float("nan")}),
    Event(NOW - timedelta(seconds=30), "RunFailed", "ValueError: [bold]column[/bold] [Errno 2] in [red]data[/]"),
)


_NAMES = ("envoy", "admin", "mlflow", "prometheus", "metrics", "collector")
PORTS = json.dumps(dict.fromkeys(_NAMES, 9))  # where nobody listens


def strict(text: str) -> Any:
    """JSON as a strict reader takes it: it has no word for what is no number."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def serinus(*words: object, input: str | None = None) -> Result:
    """What the command says; any exception that it lets through is raised."""
    return CliRunner().invoke(app, [str(word) for word in words], input=input, catch_exceptions=False)


def state_of(folder: Path, status: Status, events: Sequence[Event] = EVENTS) -> Path:
    """A state folder whose loop is down."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    (state / "loop").write_text(LOOP)
    FileLedger(state / "ledger").write(LOOP, status, events, 0)
    return state


@contextmanager
def up(state: Path, *variants: tuple[int, int], file: Path = EXAMPLE) -> Iterator[Addresses]:
    """The state folder as a supervisor holds it that sees `variants` (version, percent) served."""
    ports: list[int] = []
    while len(ports) < 6:
        ports.append(free_port(ports))
    addresses = Addresses(*ports)
    metrics = LoopMetrics(LOOP)
    metrics.show(Plan(Status(LOOP)), RoutingState(tuple(VariantState(v, True, w) for v, w in variants)))
    handler = MetricsHandler.factory(metrics.registry)
    card = {"pid": os.getpid(), "file": str(file), "loop": LOOP, "addresses": asdict(addresses)}
    with _served(addresses.metrics, handler), cards.lock(state):
        (state / "supervisor.json").write_text(json.dumps(card))
        yield addresses


def judged(gate: str, outcome: str, harm: float, safe: float) -> Verdict:
    """A guardrail's verdict, its evidence in natural logs of which 4 decide."""
    figures = {
        "canary_trials": 1200.0, "canary_bad": 30.0, "stable_trials": 0.0, "stable_bad": 0.0,
        "log_harm": harm, "log_harm_needed": 4.0, "log_safe": safe, "log_safe_needed": 4.0,
    }  # fmt: skip
    return Verdict(gate, outcome, f"{gate}: reason", figures)  # type: ignore[arg-type]


def drifted(outcome: str = "fail", *names: str) -> DriftFinding:
    """A window; the n-th of the features has a PSI of n/10."""
    features = tuple(FeatureDrift(name, 0.0, (i + 1) / 10, i > 1) for i, name in enumerate(names))
    verdict = Verdict("drift", outcome, "a sentence on drift [x]", {"psi_bound": 0.1})  # type: ignore[arg-type]
    return DriftFinding(3, Window(NOW - timedelta(minutes=2), NOW - timedelta(minutes=1)), 1820, verdict, features)


SERVING = Status(LOOP, champion=3, previous=2, decided=3)
CANARY = Status(
    LOOP,
    champion=3,
    previous=2,
    decided=3,
    waiting=5,
    rollout=Rollout(
        4, 3, NOW - timedelta(minutes=5), 0, NOW - timedelta(seconds=42), NOW, 45,
        verdicts=(judged("errors", "undecided", 1.0, 2.0), judged("latency", "pass", -1.0, 5.0)),
    ),
    run=RunRecord("flight-delay-drift-2", "drift", NOW - timedelta(seconds=75)),
    drift=(drifted("pass"), drifted("error"), drifted("fail", *"abcdefg")),
    notices={"registry": "[Errno 111] refused"},
)  # fmt: skip


@contextmanager
def driven(state: Path, runner: FakeRunner, registry: FakeRegistry, spec: ModelLoop) -> Iterator[None]:
    """The loop in `state` looked at again and again by the real driver, over parts in memory."""
    ports = Ports(FakeMetrics(), FakeRouter(), registry, runner, FileLedger(state / "ledger"))
    ended, since = threading.Event(), datetime.now(UTC)

    def look() -> None:
        while not ended.wait(0.02):
            driver.look(LOOP, lambda: spec, ports, datetime.now(UTC), since)

    thread = threading.Thread(target=look, name="driver")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def answering(port: int, status: int, body: bytes) -> Iterator[list[tuple[str, object]]]:
    """A server that gives everybody one answer; yields what it was asked: paths and bodies."""
    asked: list[tuple[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with _served(port, Handler):
        yield asked


@contextmanager
def _served(port: int, handler: type[BaseHTTPRequestHandler]) -> Iterator[None]:
    server = ThreadingHTTPServer((HOST, port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
