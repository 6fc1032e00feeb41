"""The parts of a local loop, wired: programs, adapters, predictors, the drift job."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry, start_http_server

from serinus.adapters.envoy import EnvoyRouter
from serinus.adapters.file_ledger import FileLedger
from serinus.adapters.kfp_local import LocalRunner
from serinus.adapters.mlflow import MlflowRegistry
from serinus.adapters.prometheus import PrometheusMetrics
from serinus.errors import Fatal, SerinusError
from serinus.spec import ModelLoop
from services.drift import job
from services.driver import Ports
from services.local import addresses, mlflow_server, programs
from services.local.addresses import HOST, Addresses
from services.local.predictors import Predictors, write_targets
from services.local.processes import Command, Processes

SCRAPE = timedelta(seconds=1)
_LOOKBACK = timedelta(seconds=60)  # far more than a scrape that came late, far less to read than Prometheus' 5 minutes
_START_DEADLINE = 120.0  # seconds for a program to answer for the first time
_PIPELINE = Path(__file__).resolve().parents[2] / "pipelines" / "compiled" / "training.yaml"


@dataclass(frozen=True)
class _Program:
    command: Command
    ready: str  # URL that answers 200 once the program is of use


class Parts:
    """What the supervisor holds in its hands."""

    def __init__(
        self,
        state: Path,
        addresses_: Addresses,
        processes: Processes,
        found: dict[str, dict[str, str]],
        predictors: Predictors,
        ports: Ports,
        store: MlflowRegistry,
    ) -> None:
        self.addresses, self.ports = addresses_, ports
        self._state, self._processes, self._found = state, processes, found
        self._predictors, self._store = predictors, store
        url = addresses_.url
        self._programs = {
            "mlflow": _Program(programs.mlflow_command(state, addresses_), url("mlflow") + mlflow_server.READY),
            "prometheus": _Program(
                programs.prometheus_command(state, addresses_, SCRAPE), url("prometheus") + "/-/ready"
            ),
            "envoy": _Program(programs.envoy_command(state, addresses_), url("admin") + "/ready"),
        }
        self._begun: dict[str, float] = {}
        self._drift_looked: datetime | None = None

    def start(self, progress: Callable[[str], None]) -> None:
        """Start what does not run yet, all at once, and wait until every program answers."""
        own = self._state / "prometheus" / "targets" / "supervisor.json"
        write_targets(own, "supervisor", [f"{HOST}:{self.addresses.metrics}"])
        for program in self._programs.values():
            self._processes.start(program.command)
        self._predictors.begin(self._found)
        for name, program in self._programs.items():
            progress(f"waiting for {name}")
            self._wait(program)

    def restart_dead(self) -> list[str]:
        """Start again what has died; predictors look after themselves."""
        started = []
        for name, program in self._programs.items():
            if not self._processes.alive(name) and time.monotonic() >= self._begun.get(name, 0.0):
                self._begun[name] = time.monotonic() + 1.0  # at most one start a second of a program that keeps dying
                self._processes.stop(name)
                self._processes.start(program.command)
                started.append(name)
        return started

    def edit(self, spec: ModelLoop) -> None:
        """The newest spec counts for what starts from now on."""
        self._predictors.edit(spec)

    def drift_due(self, spec: ModelLoop, now: datetime) -> bool:
        """Whether `drift.every` has passed since the last look, counted over restarts of the supervisor too."""
        if spec.spec.drift is None:
            return False
        if self._drift_looked is None:
            windows = self.ports.ledger.read(spec.name).status.drift
            self._drift_looked = windows[-1].window.end if windows else now
        return now - self._drift_looked >= spec.spec.drift.every

    def look_for_drift(self, spec: ModelLoop, now: datetime) -> None:
        """One look of the drift job; what it could not see is in the finding that it leaves in the ledger."""
        self._drift_looked = now
        try:
            job.run(
                spec, self.ports.ledger, self._store, self.ports.metrics, self.ports.runner, now,
                models=self._state / "models",
            )  # fmt: skip
        except SerinusError:
            return  # the next look tries again; the ledger, MLflow or the runner being away is said by the driver

    def end(self) -> None:
        """Predictors stop being restarted, Envoy stops taking requests, then everybody else may go."""
        self._predictors.end()
        for run in _active(self.ports, self._state):
            self.ports.runner.cancel(run)
        self._processes.stop("envoy")
        for name in self._processes.names():
            self._processes.signal_end(name)
        for name in self._processes.names():
            self._processes.stop(name)

    def _wait(self, program: _Program) -> None:
        deadline = time.monotonic() + _START_DEADLINE
        while time.monotonic() < deadline:
            if not self._processes.alive(program.command.name):
                raise Fatal(
                    f"{program.command.name} ended while it started; its log {program.command.log} ends with:\n"
                    f"{_tail(program.command.log)}"
                )
            try:
                if httpx.get(program.ready, timeout=5, trust_env=False).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(0.05)
        raise Fatal(f"{program.command.name} did not answer within {_START_DEADLINE:.0f} s; see {program.command.log}")


def build(spec: ModelLoop, folder: Path, state: Path, wanted: dict[str, int]) -> Parts:
    """Adopt what runs, choose ports, wire everything; nothing is started yet."""
    processes = Processes(state)
    found = processes.adopt()
    chosen = addresses.choose(state / "ports.json", frozenset(_ports_of(found)), wanted)
    store = MlflowRegistry(chosen.url("mlflow"))
    targets = state / "prometheus" / "targets" / "predictors.json"
    predictors = Predictors(processes, store, state, spec, folder, targets)
    ports = Ports(
        metrics=PrometheusMetrics(chosen.url("prometheus"), lookback=_LOOKBACK),
        router=EnvoyRouter(state / "envoy", chosen.url("admin"), predictors, spec.spec.serving.timeout),
        registry=store,
        runner=LocalRunner(
            state / "runs", _PIPELINE, chosen.url("mlflow"), folder, deadline=spec.spec.training.deadline
        ),
        ledger=FileLedger(state / "ledger"),
    )
    return Parts(state, chosen, processes, found, predictors, ports, store)


def serve_metrics(registry: CollectorRegistry, chosen: Addresses) -> Callable[[], None]:
    """The supervisor's own /metrics on loopback; returns what ends it."""
    server, thread = start_http_server(chosen.metrics, addr=HOST, registry=registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)

    return end


def _ports_of(found: dict[str, dict[str, str]]) -> set[str]:
    """The names of addresses that the adopted programs hold."""
    return (found.keys() & {"mlflow", "prometheus", "envoy"}) | ({"admin"} if "envoy" in found else set())


def _active(ports: Ports, state: Path) -> list[str]:
    loop = (state / "loop").read_text()
    return [run.key for run in ports.runner.active(loop)]


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
