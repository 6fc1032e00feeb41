"""The predictor processes of a loop: one a version, started when wanted, drained before they are ended.

This is what the Envoy router calls `servers`. Its two verbs return at once; the rest happens in `follow`, which the
supervisor's watch calls five times a second, so that a look is never held up by a download or a slow answer.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import httpx
import orjson

from serinus import artifact
from serinus.adapters.envoy import ServerState
from serinus.errors import ArtifactError, Fatal, SerinusError
from serinus.ports import ModelStore
from serinus.spec import Collect, ModelLoop
from services.local.addresses import HOST, free_port
from services.local.processes import Command, Pace, Processes

log = logging.getLogger(__name__)

PORT = "SERINUS_PREDICTOR_PORT"  # in a predictor's environment, for the supervisor after us
MODEL = "SERINUS_PREDICTOR_MODEL"  # digest of the model directory that it was started with
_DRAIN = 2.0  # seconds a predictor goes on answering after SIGTERM; Envoy has taken it out before
_LEAVE = 45.0  # seconds from SIGTERM to SIGKILL: its drain, then 30 s of its own for requests in work
_PROBE = 2.0  # seconds to wait for an answer of the readiness probe
_MISSES = 3  # probes in a row without an answer until it is not ready; a machine that trains meanwhile may miss one
_HUNG = 15  # and until it is killed, to be started again
_AGAIN = {Fatal: 30.0, SerinusError: 2.0}  # seconds until a model that could not be had is asked for again


@dataclass(frozen=True)
class _Server:
    version: int
    port: int | None = None
    model: str = ""  # digest of its model directory, once that was fetched and verified
    begun: bool = False  # it has a process, or had one that nobody has missed yet
    ready: bool = False
    misses: int = 0
    doing: str = "its model is fetched"
    trouble: str = ""  # why it could not start or ended, until it is ready
    restarts: int = 0
    pace: Pace = field(default_factory=Pace)
    fetch_at: float = 0.0
    ending: float | None = None  # since when
    again: bool = False  # wanted again while it was ending

    @property
    def message(self) -> str:
        if self.ready:
            return ""
        return "; ".join(part for part in (self.trouble, self.doing) if part)


class Predictors:
    """Servers for `EnvoyRouter`, by real processes."""

    def __init__(
        self,
        processes: Processes,
        store: ModelStore,
        state: Path,
        spec: ModelLoop,
        folder: Path,
        targets: Path,
        collector: str = "",
    ) -> None:
        """collector: address of the one that takes answered rows when the spec says so."""
        self._processes, self._store, self._state, self._collector = processes, store, state, collector
        self.spec, self._folder, self._targets = spec, folder, targets
        self._servers: dict[int, _Server] = {}
        self._fetches: dict[int, Future[str]] = {}
        self._pool = ThreadPoolExecutor(2, "fetch")
        # A connection each time, as callers make them: an old one may outlive the server's readiness for new ones.
        self._client = httpx.Client(timeout=_PROBE, trust_env=False, headers={"connection": "close"})
        self._lock = threading.RLock()  # of `_servers`: the look asks, the watch acts

    def adopt(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Take over the predictors that a supervisor before us left; what they do is known when this returns."""
        for name, environment in found.items():
            if name.startswith("predictor-"):
                version = int(name.removeprefix("predictor-"))
                # A slow answer now must not look like the end of a predictor that served all the time.
                self._servers[version] = _Server(
                    version, int(environment[PORT]), environment.get(MODEL, ""), begun=True, ready=True, doing=""
                )
        self.follow()

    def edit(self, spec: ModelLoop) -> None:
        """The newest spec counts for predictors that start from now on."""
        self.spec = spec

    def want(self, versions: Collection[int]) -> None:
        """Start those that lack, let go of those that are not wanted any more."""
        with self._lock:
            for version in set(versions) - self._servers.keys():
                self._servers[version] = _Server(version)
            for version, server in self._servers.items():
                if server.ending is not None:
                    self._servers[version] = replace(server, again=version in versions)
                elif version not in versions:
                    self._servers[version] = replace(
                        server, ending=time.monotonic(), ready=False, doing="it is ending", trouble=""
                    )
                    self._processes.signal_end(_name(version))

    def state(self) -> Mapping[int, ServerState]:
        """Port, readiness and restarts of each predictor that is wanted or still runs."""
        with self._lock:
            return {s.version: ServerState(s.port, s.ready, s.message, s.restarts) for s in self._servers.values()}

    def troubles(self) -> dict[str, str]:
        """What is wrong with predictors that should serve and do not: `version 3` -> why."""
        with self._lock:
            return {f"version {s.version}": s.trouble for s in self._servers.values() if s.trouble and not s.ready}

    def end(self) -> None:
        """Ask nothing any more; the processes stay."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    # --- the watch -----------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Bring every predictor one step on, and tell Prometheus who runs."""
        for server in list(self._servers.values()):
            try:
                self._follow_one(server)
            except Exception as error:  # trouble with one version must not keep the others from being looked after
                log.exception("version %d", server.version)
                self._set(server.version, ready=False, trouble=f"{type(error).__name__}: {error}")
        self._write_targets()

    def _follow_one(self, server: _Server) -> None:
        alive = self._processes.alive(_name(server.version))
        if server.ending is not None:
            self._let_go(server, alive)
        elif alive:
            self._probe(server)
        elif server.begun:
            self._died(server)
        else:
            self._start(server)

    def _let_go(self, server: _Server, alive: bool) -> None:
        if alive:
            if server.ending is not None and time.monotonic() - server.ending > _LEAVE:
                self._processes.signal_end(_name(server.version), signal.SIGKILL)
            return
        self._processes.stop(_name(server.version))
        with self._lock:
            server = self._servers.pop(server.version)
            if server.again:
                self._servers[server.version] = _Server(server.version)

    def _probe(self, server: _Server) -> None:
        try:
            answer = self._client.get(f"http://{HOST}:{server.port}/v2/health/ready")
        except httpx.HTTPError as error:
            if not (server.ready or server.misses or isinstance(error, httpx.TimeoutException)):
                self._set(server.version, ready=False, doing="its server does not listen yet")
                return
            misses = server.misses + 1
            if misses >= _HUNG:
                self._processes.signal_end(_name(server.version), signal.SIGKILL)
            self._set(
                server.version, ready=server.ready and misses < _MISSES, misses=misses,
                doing=f"no answer to {misses} readiness probes in a row",
            )  # fmt: skip
        else:
            if answer.status_code == httpx.codes.OK:
                self._set(server.version, ready=True, misses=0, doing="", trouble="")
            else:
                self._set(server.version, ready=False, misses=0, doing=f"its readiness probe says {answer.status_code}")

    def _died(self, server: _Server) -> None:
        how = self._processes.obituary(_name(server.version))
        self._processes.stop(_name(server.version))  # what it may have left below itself
        self._set(
            server.version, begun=False, ready=False, port=None, restarts=server.restarts + 1,
            trouble=f"its server ended ({how})", doing="it is started again",
        )  # fmt: skip

    def _start(self, server: _Server) -> None:
        if not server.pace.due(time.monotonic()):
            return
        model = self._model(server)
        if not model:
            return
        with self._lock:
            now = self._servers[server.version]
            if now.ending is not None:
                return
            port = free_port([s.port for s in self._servers.values() if s.port is not None])
            self._processes.start(self._command(server.version, port, model))
            self._servers[server.version] = replace(
                now, port=port, model=model, begun=True, ready=False, misses=0, pace=now.pace.started(time.monotonic()),
                doing="its process starts",
            )  # fmt: skip

    def _model(self, server: _Server) -> str:
        """The digest of the version's verified directory; empty while it is fetched, or cannot be."""
        directory = self._directory(server.version)
        if server.model and _digest(directory) == server.model:
            return server.model  # it ran from there before: no need of the registry, which may be away
        if time.monotonic() < server.fetch_at:
            return ""
        fetch = self._fetches.get(server.version)
        if fetch is None:
            self._fetches[server.version] = self._pool.submit(self._fetch, server.version)
            return ""
        if not fetch.done():
            return ""
        del self._fetches[server.version]
        try:
            return fetch.result()
        except SerinusError as error:
            wait = next(seconds for kind, seconds in _AGAIN.items() if isinstance(error, kind))
            self._set(server.version, trouble=str(error), fetch_at=time.monotonic() + wait, doing="")
            return ""

    def _fetch(self, version: int) -> str:
        return artifact.verify(self._store.fetch(self.spec.name, version, self._directory(version)))

    def _command(self, version: int, port: int, model: str) -> Command:
        spec = self.spec.spec
        latency = spec.rollout.guardrails.latency
        argv = [
            sys.executable, "-m", "services.predictor",
            "--model-dir", str(self._directory(version)), "--loop", self.spec.name, "--version", str(version),
            "--host", HOST, "--port", str(port), "--unseen", spec.serving.unseen_categories,
            "--drain", str(_DRAIN), "--code", str(self._folder),
        ]  # fmt: skip
        if latency is not None:
            argv += ["--latency-threshold", str(latency.threshold / timedelta(seconds=1))]
        for trusted in spec.training.trust:
            argv += ["--trust", trusted]
        argv += collecting(spec.collect, self._collector)
        file = self._state / "logs" / f"{_name(version)}.log"
        return Command(_name(version), argv, file, env={PORT: str(port), MODEL: model})

    def _write_targets(self) -> None:
        """Prometheus' file discovery: the predictors that run."""
        with self._lock:
            targets = sorted(f"{HOST}:{s.port}" for s in self._servers.values() if s.begun and s.port is not None)
        write_targets(self._targets, "predictors", targets)

    def _set(self, version: int, **changes: object) -> None:
        """Change what is known of a predictor, unless it was let go meanwhile."""
        with self._lock:
            server = self._servers.get(version)
            if server is not None and server.ending is None:
                self._servers[version] = replace(server, **changes)  # type: ignore[arg-type]  # replace checks names

    def _directory(self, version: int) -> Path:
        return self._state / "models" / self.spec.name / str(version)


def collecting(collect: Collect | None, url: str) -> list[str]:
    """The predictor's arguments for handing answered rows to the collector at `url`."""
    if collect is None:
        return []
    words = ["--collector", url, "--sample", str(collect.sample)]
    columns = collect.columns if collect.columns is None else collect.columns or ("",)
    for option, names in (("--columns", columns), ("--hash", collect.hash), ("--key", (collect.key,))):
        words += [word for name in names or () if name is not None for word in (option, name)]
    return words


def write_targets(file: Path, job: str, targets: list[str]) -> None:
    """Write a file of Prometheus' file discovery, when it changes, whole or not at all."""
    text = orjson.dumps([{"targets": targets, "labels": {"job": job}}])
    if not file.exists() or file.read_bytes() != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.tmp")
        temporary.write_bytes(text)
        temporary.replace(file)


def _name(version: int) -> str:
    return f"predictor-{version}"


def _digest(directory: Path) -> str:
    try:
        return artifact.verify(directory)
    except (ArtifactError, OSError):
        return ""
