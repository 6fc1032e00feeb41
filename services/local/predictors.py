"""The predictor processes of a loop: one a version, started when wanted, drained before they are ended.

This is what the Envoy router calls `servers`. Its two verbs return at once; the rest happens in `follow`, which the
supervisor's watch calls five times a second, so that a look is never held up by a download or a slow answer.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from serinus import artifact
from serinus.adapters.envoy import ServerState
from serinus.errors import Fatal, SerinusError
from serinus.ports import ModelStore
from serinus.spec import ModelLoop
from services.local.addresses import HOST, free_port
from services.local.leaving import LEAVE, Leaving
from services.local.processes import Command, Processes
from services.local.server import MODEL, PORT, TOLD, Server, collecting, command, digest, names
from services.local.targets import write_targets

log = logging.getLogger(__name__)

_PROBE = 2.0  # seconds to wait for an answer of the readiness probe
_MISSES = 3  # probes in a row without an answer until it is not ready; a machine that trains meanwhile may miss one
_HUNG = 15  # and until it is killed, to be started again
_AGAIN = {Fatal: 30.0, SerinusError: 2.0}  # seconds until a model that could not be had is asked for again


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
        collector: str,
    ) -> None:
        """collector: where answered rows go when the spec says so."""
        self._processes, self._store, self._state, self._collector = processes, store, state, collector
        self.spec, self._folder, self._targets = spec, folder, targets
        self._servers: dict[int, Server] = {}
        self._leaving = Leaving(processes)
        self._fetches: dict[int, Future[str]] = {}
        self._pool = ThreadPoolExecutor(2, "fetch")
        # A connection each time, as callers make them: an old one may outlive the server's readiness for new ones.
        self._client = httpx.Client(timeout=_PROBE, trust_env=False, headers={"connection": "close"})
        self._lock = threading.RLock()  # of `_servers`: the look asks, the watch acts

    def adopt(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Take over the predictors that a supervisor before us left; what they do is known when this returns."""
        for name, environment in found.items():
            if not name.startswith("predictor-"):
                continue
            version, port = int(name.split("-")[1]), int(environment[PORT])
            # A slow answer now must not look like the end of a predictor that served all the time.
            told, model = environment.get(TOLD, ""), environment.get(MODEL, "")
            adopted = Server(version, port, name, told, model, begun=True, ready=True, doing="")
            self._servers[version] = self._better(self._servers.get(version), adopted)
        self.follow()

    def edit(self, spec: ModelLoop) -> None:
        """The newest spec counts for predictors that start from now on; what it says of `collect`, for those that run
        too: each is replaced by another that is told so, without a request lost.
        """
        self.spec = spec

    def want(self, versions: Collection[int]) -> None:
        """Start those that lack, let go of those that are not wanted any more."""
        with self._lock:
            for version in set(versions) - self._servers.keys():
                self._servers[version] = Server(version)
            for version, server in self._servers.items():
                if server.ending is not None:
                    self._servers[version] = replace(server, again=version in versions)
                elif version not in versions:
                    self._disinherit(server)
                    self._servers[version] = replace(
                        server, ending=time.monotonic(), ready=False, doing="it is ending", trouble="", heir=None
                    )
                    self._processes.signal_end(server.name)

    def state(self) -> Mapping[int, ServerState]:
        """Port, readiness and restarts of each predictor that is wanted or still runs."""
        with self._lock:
            self._leaving.told()
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
        with self._lock:
            self._leaving.follow()
        self._write_targets()

    def _follow_one(self, server: Server) -> None:
        alive = self._processes.alive(server.name)
        if server.ending is not None:
            self._let_go(server, alive)
        elif alive:
            self._probe(server)
            self._renew(self._servers[server.version])
        elif server.begun:
            self._died(server)
        else:
            self._start(server)

    def _let_go(self, server: Server, alive: bool) -> None:
        if alive:
            if server.ending is not None and time.monotonic() - server.ending > LEAVE:
                self._processes.signal_end(server.name, signal.SIGKILL)
            return
        self._processes.stop(server.name)
        with self._lock:
            server = self._servers.pop(server.version)
            if server.again:
                self._servers[server.version] = Server(server.version)

    def _probe(self, server: Server) -> None:
        try:
            answer = self._client.get(f"http://{HOST}:{server.port}/v2/health/ready")
        except httpx.HTTPError as error:
            if not (server.ready or server.misses or isinstance(error, httpx.TimeoutException)):
                self._set(server.version, ready=False, doing="its server does not listen yet")
                return
            misses = server.misses + 1
            if misses >= _HUNG:
                self._processes.signal_end(server.name, signal.SIGKILL)
            self._set(
                server.version, ready=server.ready and misses < _MISSES, misses=misses,
                doing=f"no answer to {misses} readiness probes in a row",
            )  # fmt: skip
        else:
            if answer.status_code == httpx.codes.OK:
                self._set(server.version, ready=True, misses=0, doing="", trouble="")
            else:
                self._set(server.version, ready=False, misses=0, doing=f"its readiness probe says {answer.status_code}")

    def _died(self, server: Server) -> None:
        how = self._processes.obituary(server.name)
        self._processes.stop(server.name)  # what it may have left below itself
        self._disinherit(server)
        self._set(
            server.version, heir=None, begun=False, ready=False, port=None, restarts=server.restarts + 1,
            trouble=f"its server ended ({how})", doing="it is started again",
        )  # fmt: skip

    def _start(self, server: Server) -> None:
        if not server.pace.due(time.monotonic()):
            return
        model = self._model(server)
        if not model:
            return
        with self._lock:
            now = self._servers[server.version]
            if now.ending is not None:
                return
            process = self._begin(server.version, model)
            self._servers[server.version] = replace(
                now, **process, model=model, begun=True, ready=False, misses=0, pace=now.pace.started(time.monotonic()),
                doing="its process starts",
            )  # fmt: skip

    def _begin(self, version: int, model: str) -> dict[str, Any]:
        """Start a process for the version; returns its port, its name, and what it was told."""
        taken = [s.port for one in self._servers.values() for s in (one, one.heir) if s is not None and s.port]
        port = free_port([*taken, *self._leaving.ports])
        name = next(n for n in names(version) if not (self._processes.alive(n) or n in self._leaving.names))
        told, command = self._told, self._command(version, port, model)
        log = self._state / "logs" / f"{name}.log"
        self._processes.start(replace(command, name=name, log=log, env={**command.env, TOLD: told}))
        return {"port": port, "name": name, "told": told}

    @property
    def _told(self) -> str:
        return " ".join(collecting(self.spec.spec.collect, self._collector))

    # --- the heir ------------------------------------------------------------------------------------------------

    def _renew(self, server: Server) -> None:
        """Have a server that was told otherwise than the file says now replaced, once another one is ready."""
        told, heir = self._told, server.heir
        if heir is not None and (heir.told != told or not self._processes.alive(heir.name)):
            self._disinherit(server)
            self._set(server.version, heir=None)
        elif heir is not None and self._answers(heir.port):
            with self._lock:
                now = self._servers[server.version]
                if now.ending is None and server.port is not None:
                    self._servers[server.version] = replace(heir, ready=True, restarts=now.restarts, doing="")
                    self._leaving.add(server.name, server.port)
        elif heir is None and server.ready and server.told != told and server.pace.due(time.monotonic()):
            model = self._model(server)
            with self._lock:
                now = self._servers[server.version]
                if model and now.ending is None and not self._leaving.names & set(names(server.version)):
                    pace = now.pace.started(time.monotonic())
                    process = self._begin(server.version, model)
                    heir = replace(Server(server.version, **process), model=model, begun=True, pace=pace)
                    self._servers[server.version] = replace(now, heir=heir, pace=pace)

    def _better(self, one: Server | None, other: Server) -> Server:
        """Of two processes of a version, one of which was to take the other's place: who answers, or knows the file."""
        if one is None:
            return other
        better, worse = sorted((one, other), key=lambda s: (not self._answers(s.port), s.told != self._told))
        self._leaving.add(worse.name, worse.port or 0)
        return better

    def _answers(self, port: int | None) -> bool:
        try:
            return self._client.get(f"http://{HOST}:{port}/v2/health/ready").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _disinherit(self, server: Server) -> None:
        """End an heir that has nothing to take over any more; it was never sent a request."""
        if server.heir is not None:
            self._processes.signal_end(server.heir.name, signal.SIGKILL)
            self._processes.stop(server.heir.name)

    def _model(self, server: Server) -> str:
        """The digest of the version's verified directory; empty while it is fetched, or cannot be."""
        directory = self._directory(server.version)
        if server.model and digest(directory) == server.model:
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
        return command(
            self.spec, version, port, model, self._directory(version), self._folder, self._state, self._collector
        )

    def _write_targets(self) -> None:
        """Prometheus' file discovery: the predictors that run."""
        with self._lock:
            ports = [s.port for s in self._servers.values() if s.begun and s.port is not None]
            targets = sorted(f"{HOST}:{port}" for port in (*ports, *self._leaving.ports))
        write_targets(self._targets, "predictors", targets)

    def _set(self, version: int, **changes: object) -> None:
        """Change what is known of a predictor, unless it was let go meanwhile."""
        with self._lock:
            server = self._servers.get(version)
            if server is not None and server.ending is None:
                self._servers[version] = replace(server, **changes)  # type: ignore[arg-type]  # replace checks names

    def _directory(self, version: int) -> Path:
        return self._state / "models" / self.spec.name / str(version)
