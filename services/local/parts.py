"""The parts of a local loop, wired: programs, adapters, predictors, the drift job; and the watch that keeps them up."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import httpx

from serinus.adapters.audit_file import FileAudit
from serinus.adapters.envoy import EnvoyRouter
from serinus.adapters.file_ledger import FileLedger
from serinus.adapters.kfp_local import LocalRunner
from serinus.adapters.mlflow import MlflowRegistry
from serinus.adapters.prometheus import PrometheusMetrics
from serinus.decide.loop import desired_routing
from serinus.errors import Fatal
from serinus.spec import ModelLoop
from services import runs
from services.driver import Ports
from services.jobs import URL as COLLECTOR_URL
from services.local import addresses, programs
from services.local.addresses import HOST
from services.local.clock import DRIFT, INTAKE, QUALITY, Clock
from services.local.jobs import LOOKBACK, Jobs
from services.local.predictors import Predictors
from services.local.processes import Pace, Processes
from services.local.programs import Program
from services.local.targets import write_targets
from services.trail import Trail

log = logging.getLogger(__name__)

SCRAPE = timedelta(seconds=1)
_MLFLOW_TIMEOUT = 5.0  # seconds for a question that takes milliseconds; a look waits for it
_WATCH = 0.2  # seconds between two looks at the processes
_START = 120.0  # seconds for a program to answer for the first time
_SERVE = 60.0  # seconds for the predictors of a loop that goes on to serve again
COLLECTOR = "collector"


class PortTaken(Fatal):
    """Another program took a port between its choice and its use; choosing again helps."""


class Parts:
    """What the supervisor holds in its hands."""

    def __init__(self, spec: ModelLoop, file: Path, state: Path, wanted: Mapping[str, int]) -> None:
        """Adopt what runs, choose ports, wire everything; nothing is started yet."""
        self._loop, self._folder, self._state = spec.name, file.parent, state
        self._processes = Processes(state)
        self._found = self._processes.adopt()
        self.addresses = addresses.choose(state / "ports.json", _holding_ports(self._found), wanted)
        self._url = self.addresses.url
        self._targets = state / "prometheus" / "targets"
        self._store = MlflowRegistry(self._url("mlflow"), timeout=_MLFLOW_TIMEOUT)
        self._predictors = Predictors(
            self._processes,
            self._store,
            state,
            spec,
            self._folder,
            self._targets / "predictors.json",
            self._url("collector"),
        )
        self._metrics = PrometheusMetrics(self._url("prometheus"), lookback=LOOKBACK)
        self._ledger = FileLedger(state / "ledger")
        self._trail = Trail(FileAudit(state / "audit.jsonl"))
        self.ports = self._wire(spec)
        self._ending = threading.Event()
        self._jobs = Jobs(
            file, state, self.addresses, self._ledger, self._store, self._processes, self._ending, lambda: self.ports
        )
        self.clocks = (
            Clock(DRIFT, self._ledger, self._jobs.drift),
            Clock(QUALITY, self._ledger, self._jobs.quality),
            Clock(INTAKE, self._ledger, self._jobs.intake),
        )
        self._programs = programs.of(state, self.addresses, SCRAPE, spec)
        self._paces = dict.fromkeys((program.name for program in self._programs), Pace())
        self._keeping = threading.Lock()  # of `_programs`: an edit changes them, the watch starts them
        self._watch = threading.Thread(target=self._watch_over, name="watch", daemon=True)
        self._watch_trouble = ""
        self.restarted: deque[str] = deque()  # what was started again and why, for whoever tells it

    def start(self, progress: Callable[[str], None], stopping: threading.Event) -> None:
        """Start what does not run yet, all at once, and wait until every program answers and predictors serve again.

        Raises PortTaken, and Fatal when a program does not come up or `stopping` is set meanwhile.
        """
        write_targets(self._targets / "supervisor.json", "supervisor", [f"{HOST}:{self.addresses.metrics}"])
        self._target_collector()
        for program in self._programs:
            if self._processes.start(program.command):
                self._paces[program.name] = self._paces[program.name].started(time.monotonic())
        self._predictors.adopt(self._found)
        with httpx.Client(timeout=5.0, trust_env=False) as client:
            for program in self._programs:
                progress(f"waiting for {program.name}")
                self._wait(program, client, stopping)
        self._watch.start()
        self._serve_again(progress, stopping)

    def edit(self, spec: ModelLoop) -> None:
        """The newest spec counts for what happens from now on."""
        before, after = self._predictors.spec.spec, spec.spec
        self._predictors.edit(spec)
        if (before.serving, before.training.deadline) != (after.serving, after.training.deadline):
            self.ports = self._wire(spec)
        if before.collect != after.collect:
            self._collect(spec)

    def troubles(self) -> dict[str, str]:
        """What is wrong with the processes now, by subject."""
        found = self._predictors.troubles()
        found |= {"watch": self._watch_trouble} if self._watch_trouble else {}
        return found | {clock.name: clock.trouble for clock in self.clocks if clock.trouble}

    def end(self) -> None:
        """Nothing is restarted any more, runs are taken back, Envoy stops taking requests, then all others may go."""
        self._ending.set()
        if self._watch.is_alive():
            self._watch.join(timeout=30)
        for clock in self.clocks:
            clock.join(10)
        for step in (self._take_runs_back, self._predictors.end, self._end_processes):
            try:
                step()
            except Exception:  # what cannot be ended well must not keep the rest from ending
                log.exception("while ending")
        self._metrics.close()
        self._jobs.close()

    def _wire(self, spec: ModelLoop) -> Ports:
        timeout, deadline = spec.spec.serving.timeout, spec.spec.training.deadline
        return Ports(
            metrics=self._metrics,
            router=EnvoyRouter(self._state / "envoy", self._url("admin"), self._predictors, timeout),
            registry=self._store,
            runner=LocalRunner(
                self._state / "runs",
                runs.PIPELINE,
                self._url("mlflow"),
                self._folder,
                deadline,
                environment={COLLECTOR_URL: self._url("collector")},
            ),
            ledger=self._ledger,
            trail=self._trail,
        )

    def _collect(self, spec: ModelLoop) -> None:
        """Have a collector when the spec asks for one. It stays when the spec does no more: labels come for what was
        answered before.
        """
        if spec.spec.collect is None:
            return
        program = programs.collector(self._state, self.addresses, spec.spec.collect.retention)
        with self._keeping:
            if self._processes.start(program.command):  # another command ends the one that runs
                self._paces[COLLECTOR] = Pace().started(time.monotonic())
            self._programs = (*(p for p in self._programs if p.name != COLLECTOR), program)
        self._target_collector()

    def _target_collector(self) -> None:
        runs = any(program.name == COLLECTOR for program in self._programs)
        targets = [f"{HOST}:{self.addresses.collector}"] if runs else []
        write_targets(self._targets / "collector.json", COLLECTOR, targets)

    def _wait(self, program: Program, client: httpx.Client, stopping: threading.Event) -> None:
        name, deadline = program.name, time.monotonic() + _START
        while not program.answers(client):
            if not self._processes.alive(name):
                if taken := [str(port) for port in program.listens if not addresses.is_free(port)]:
                    raise PortTaken(f"another program took port {', '.join(taken)} before {name} did; start again")
                raise Fatal(
                    f"{name} ended while it started ({self._processes.obituary(name)}); see {program.command.log}"
                )
            if time.monotonic() > deadline:
                raise Fatal(f"{name} did not answer within {_START:.0f} s; see {program.command.log}")
            _pause(stopping)

    def _serve_again(self, progress: Callable[[str], None], stopping: threading.Event) -> None:
        """A loop that goes on after `down` judges its canary only once the servers are back."""
        routing = desired_routing(self._predictors.spec, self._ledger.read(self._loop).status)
        versions = {variant.version for variant in routing.variants} if routing is not None else set()
        if not versions:
            return
        self._predictors.want(versions)
        deadline = time.monotonic() + _SERVE
        while time.monotonic() < deadline:
            states, troubles = self._predictors.state(), self._predictors.troubles()
            waiting = [str(v) for v in sorted(versions) if not states[v].ready and f"version {v}" not in troubles]
            if not waiting:
                return
            progress(f"waiting for version {', '.join(waiting)}")
            _pause(stopping)

    # --- the watch -----------------------------------------------------------------------------------------------

    def _watch_over(self) -> None:
        while not self._ending.wait(_WATCH):
            try:
                with self._keeping:
                    for program in self._programs:
                        self._keep(program)
                self._predictors.follow()
                self._watch_trouble = ""
            except Exception as error:  # a full disk, say; the watch goes on, whatever it was
                if not self._watch_trouble:
                    log.exception("the watch over the processes")
                self._watch_trouble = f"{type(error).__name__}: {error}"

    def _keep(self, program: Program) -> None:
        """Start the program again when it has died; one that keeps dying, ever more slowly."""
        name, now = program.name, time.monotonic()
        if self._processes.alive(name) or not self._paces[name].due(now):
            return
        how = self._processes.obituary(name)
        self._paces[name] = self._paces[name].started(now)
        self._processes.stop(name)  # what it may have left below itself
        self._processes.start(program.command)
        self.restarted.append(f"{name} had ended ({how}) and was started again")

    # --- the end -------------------------------------------------------------------------------------------------

    def _take_runs_back(self) -> None:
        """Cancel runs that are under way, and forget them: the loop remembers that it asked, and `up` asks again."""
        for run in self.ports.runner.active(self._loop):
            self.ports.runner.cancel(run.key)
            shutil.rmtree(self._state / "runs" / run.key)

    def _end_processes(self) -> None:
        self._processes.stop("envoy")
        names = set(self._processes.names()) - {COLLECTOR}
        for name in names:
            self._processes.signal_end(name)
        for name in names:
            self._processes.stop(name)
        self._processes.stop(COLLECTOR)  # predictors hand on their last rows when they end


def _holding_ports(found: Mapping[str, object]) -> set[str]:
    """The names of addresses that the adopted programs hold."""
    return set(found.keys() & addresses.DEFAULTS.keys()) | ({"admin"} if "envoy" in found else set())


def _pause(stopping: threading.Event) -> None:
    if stopping.wait(0.05):
        raise Fatal("was asked to end while it started")
