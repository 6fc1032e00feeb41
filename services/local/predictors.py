"""The predictor processes of a loop: one a version, started when wanted, drained before they are ended.

This is what the Envoy router calls `servers`. Fetching a model and asking for readiness happen on a thread of their
own, so that the supervisor's look is never held up by a slow answer.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx

from serinus.adapters.envoy import ServerState
from serinus.errors import Fatal, SerinusError
from serinus.ports import ModelStore
from serinus.spec import ModelLoop
from services.local.addresses import HOST, free_port
from services.local.processes import Command, Processes

_DRAIN = 2.0  # seconds a predictor goes on answering after SIGTERM; Envoy has taken it out before
_BACKOFF = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before the n-th restart of a predictor that keeps dying
_POLL = 0.2  # seconds between two questions for readiness


@dataclass(frozen=True)
class _Server:
    version: int
    port: int
    model: Path | None = None
    ready: bool = False
    message: str = "starting"
    restarts: int = 0
    not_before: float = 0.0  # monotonic time of the next start
    ending: bool = False


class Predictors:
    """Servers for `EnvoyRouter`, by real processes."""

    def __init__(
        self, processes: Processes, store: ModelStore, state: Path, spec: ModelLoop, folder: Path, targets: Path
    ) -> None:
        self._processes, self._store, self._state = processes, store, state
        self._spec, self._folder, self._targets = spec, folder, targets
        self._servers: dict[int, _Server] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="predictors", daemon=True)

    def begin(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Take over the predictors that a supervisor before us left, and start following them all."""
        for name, environment in found.items():
            if name.startswith("predictor-"):
                version = int(name.removeprefix("predictor-"))
                port = int(environment["SERINUS_PREDICTOR_PORT"])
                self._servers[version] = _Server(version, port, self._model(version))
        self._thread.start()

    def end(self) -> None:
        """Stop following; the processes stay."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def edit(self, spec: ModelLoop) -> None:
        """The newest spec counts for predictors that start from now on."""
        with self._lock:
            self._spec = spec

    def want(self, versions: Collection[int]) -> None:
        """Start those that lack, let go of those that are not wanted any more."""
        with self._lock:
            for version in versions:
                server = self._servers.get(version)
                if server is None:
                    self._servers[version] = _Server(version, free_port(self._ports()))
                elif server.ending:
                    self._servers[version] = replace(server, ending=False)
            for version, server in self._servers.items():
                if version not in versions and not server.ending:
                    self._servers[version] = replace(server, ending=True, ready=False, message="ending")
                    self._processes.signal_end(_name(version))

    def state(self) -> Mapping[int, ServerState]:
        """Port, readiness and restarts of each predictor that is wanted or still runs."""
        with self._lock:
            return {
                s.version: ServerState(port=s.port, ready=s.ready, message=s.message, restarts=s.restarts)
                for s in self._servers.values()
            }

    # --- the thread ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        with httpx.Client(timeout=2.0) as client:
            while not self._stopping.wait(_POLL):
                for version in list(self._servers):
                    self._follow_one(version, client)
                self._write_targets()

    def _follow_one(self, version: int, client: httpx.Client) -> None:
        with self._lock:
            server = self._servers[version]
            running = self._processes.alive(_name(version))
            if server.ending:
                if not running:
                    self._processes.stop(_name(version))
                    del self._servers[version]
                return
        if running:
            ready, message = _ask(client, server.port)
            self._update(version, ready=ready, message=message)
        else:
            self._start(server)

    def _start(self, server: _Server) -> None:
        now = time.monotonic()
        if now < server.not_before:
            return
        try:
            model = server.model or self._store.fetch(self._spec.name, server.version, self._model(server.version))
        except SerinusError as error:
            wait = 60.0 if isinstance(error, Fatal) else 2.0
            self._update(server.version, ready=False, message=str(error), not_before=now + wait)
            return
        with self._lock:
            server = self._servers[server.version]
            if server.ending:
                return
            again = server.model is not None  # it ran before, and died
            restarts = server.restarts + 1 if again else server.restarts
            delay = _BACKOFF[min(restarts, len(_BACKOFF) - 1)]
            port = server.port if not again else free_port(self._ports())
            self._processes.start(self._command(replace(server, port=port), model))
            self._servers[server.version] = replace(
                server, port=port, model=model, restarts=restarts, ready=False, not_before=now + delay,
                message="restarted after it had died" if again else "loading the model",
            )  # fmt: skip

    def _command(self, server: _Server, model: Path) -> Command:
        spec = self._spec.spec
        latency = spec.rollout.guardrails.latency
        argv = [
            sys.executable, "-m", "services.predictor",
            "--model-dir", str(model), "--loop", self._spec.name, "--version", str(server.version),
            "--host", HOST, "--port", str(server.port), "--unseen", spec.serving.unseen_categories,
            "--drain", str(_DRAIN), "--code", str(self._folder),
        ]  # fmt: skip
        if latency is not None:
            argv += ["--latency-threshold", str(latency.threshold / timedelta(seconds=1))]
        for trusted in spec.training.trust:
            argv += ["--trust", trusted]
        log = self._state / "logs" / f"{_name(server.version)}.log"
        return Command(_name(server.version), argv, log, env={"SERINUS_PREDICTOR_PORT": str(server.port)})

    def _write_targets(self) -> None:
        """Prometheus' file discovery: the predictors that run."""
        with self._lock:
            targets = sorted(f"{HOST}:{s.port}" for s in self._servers.values() if s.model is not None)
        write_targets(self._targets, "predictors", targets)

    def _update(self, version: int, *, ready: bool, message: str, not_before: float | None = None) -> None:
        with self._lock:
            server = self._servers.get(version)
            if server is not None and not server.ending:
                at = server.not_before if not_before is None else not_before
                self._servers[version] = replace(server, ready=ready, message=message, not_before=at)

    def _model(self, version: int) -> Path:
        return self._state / "models" / self._spec.name / str(version)

    def _ports(self) -> set[int]:
        return {s.port for s in self._servers.values()}


def write_targets(file: Path, job: str, targets: list[str]) -> None:
    """Write a file of Prometheus' file discovery, when it changes, whole or not at all."""
    import orjson

    text = orjson.dumps([{"targets": targets, "labels": {"job": job}}])
    if not file.exists() or file.read_bytes() != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.tmp")
        temporary.write_bytes(text)
        temporary.replace(file)


def _name(version: int) -> str:
    return f"predictor-{version}"


def _ask(client: httpx.Client, port: int) -> tuple[bool, str]:
    try:
        answer = client.get(f"http://{HOST}:{port}/v2/health/ready")
    except httpx.HTTPError as error:
        return False, f"no answer from its port yet ({type(error).__name__})"
    return (True, "") if answer.status_code == 200 else (False, f"not ready (status {answer.status_code})")
