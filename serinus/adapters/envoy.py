"""Traffic, as a local Envoy splits it: one Envoy, one folder of files, one loop.

What is true is read back from Envoy's admin, its files and the servers each time, so that a supervisor killed between
any two steps is followed by another that goes on. Starting Envoy and the predictors is the caller's work.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import httpx

from serinus.errors import Fatal, Unavailable
from serinus.facts import Routing, RoutingState, VariantState
from serinus.render import envoy as render
from serinus.render.envoy import Endpoint
from serinus.render.shares import copies, preference, shares

_HERE = "127.0.0.1"  # where every server of a laptop listens
# How long one `apply` waits in all for Envoy to take a file up; it takes some 5 ms unless the machine is drowning.
_BUDGET = 0.8
# A version without traffic stays so long at least: a request may be on its way to it, or between two attempts.
_LINGER = 1.0


@dataclass(frozen=True)
class ServerState:
    """A version's predictor process, as its supervisor sees it."""

    port: int | None  # on 127.0.0.1; None while it has none
    ready: bool  # it answers its readiness probe now
    message: str = ""  # why it is not ready, when it is not
    restarts: int = 0


class Servers(Protocol):
    """The predictors of one loop, one a version. Both verbs return at once."""

    def want(self, versions: Collection[int]) -> None:
        """Start those of `versions` that lack and end, gracefully, all others. Idempotent."""
        ...

    def state(self) -> Mapping[int, ServerState]:
        """Every version that is wanted or still runs; true from the first call, leftovers of a predecessor included.

        A version that is asked for shows up here at once, not ready.
        """
        ...


def prepare(folder: Path, loop: str, port: int, admin_port: int) -> Path:
    """Write what Envoy needs before it can start into `folder`; return its configuration file.

    Keeps the clusters and routes of an earlier Envoy: with them the new one serves as the old one did. The first one
    says 503 until `loop` has a version that is ready.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if _read(folder / render.CLUSTERS) is None:
        _write(folder / render.CLUSTERS, {"version_info": "", "resources": []})
    if _read(folder / render.ROUTES) is None:
        _write(folder / render.ROUTES, render.routes(loop, {}, timedelta(0)))
    bootstrap = folder / "bootstrap.json"
    _write(bootstrap, render.bootstrap(str(folder), port, admin_port))
    return bootstrap


def command(program: Path, bootstrap: Path) -> list[str]:
    """The arguments that start Envoy so that it outlives its parent (hot restart's shared memory ties it to it)."""
    return [
        *(str(program), "-c", str(bootstrap), "--disable-hot-restart"),
        *("--concurrency", "1", "--log-level", "warning"),
    ]


@dataclass(frozen=True)
class _Sight:
    """What Envoy does now."""

    weights: Mapping[int, int]  # version -> percent
    routes: str  # version_info of the route file in use
    hosts: Mapping[int, frozenset[tuple[str, int, int]]]  # version -> (address, port, priority) of its cluster
    mirrors: Mapping[int, int]  # version -> percent of the requests that it gets a copy of


@dataclass(frozen=True)
class _Move:
    """One `apply`: what it was called for and what it found."""

    loop: str
    own: Mapping[int, list[Endpoint]]  # the ready replicas of a version
    fallbacks: list[int]  # ready versions, the best first
    deadline: float
    mirrored: int | None = None  # who gets copies: nobody answers these in its place, and it answers for nobody

    def behind(self, version: int) -> Sequence[int]:
        """Who stands in for `version`."""
        return () if version == self.mirrored else self.fallbacks


class EnvoyRouter:
    """`ports.Router` for the loop whose Envoy was started from `folder` and answers its admin at the URL `admin`."""

    def __init__(
        self,
        folder: Path,
        admin: str,
        servers: Servers,
        timeout: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder.resolve()
        self._servers = servers
        self._timeout = timeout
        self._clock = clock
        self._admin = httpx.Client(base_url=admin, timeout=0.5, trust_env=False)
        self._left: dict[int, float] = {}  # since when a version to be removed was seen without traffic

    def apply(self, loop: str, routing: Routing) -> None:
        """Move towards `routing`: servers, then clusters, then the route; what leaves goes the other way around.

        Returns within a second, done or not. Raises Unavailable when Envoy cannot be asked (the servers are then
        wanted already) or does not take up what was written. Raises Fatal when the folder is another loop's.
        """
        deadline = self._clock() + _BUDGET
        desired = {v.version for v in routing.variants}
        known = desired | self._filed(loop)
        try:
            sight = self._see(loop)
        except Unavailable:
            self._servers.want(sorted(known))
            raise
        known |= set(sight.hosts) | set(sight.weights)
        self._left = {v: since for v, since in self._left.items() if v not in desired | sight.weights.keys()}
        self._servers.want(sorted(known))

        own = {v: [Endpoint(_HERE, s.port)] for v, s in self._servers.state().items() if s.ready and s.port}
        if desired and not own.keys() & known:
            return  # nobody is ready: what Envoy has may yet be right, nothing else can be
        mirrored = routing.mirrored.version if routing.mirrored is not None else None
        fallbacks = preference(routing, own) or sorted((own.keys() & known) - {mirrored})
        move = _Move(loop, own, fallbacks, deadline, mirrored)
        self._publish(move, known, sight)
        weights = shares(routing, own)
        if weights or not desired:
            routes = render.routes(loop, weights, self._timeout, copies(routing, own), routing.sticky)
            wrote = _write(self._folder / render.ROUTES, routes)
            if wrote or sight.routes != routes["version_info"]:
                self._until(move, render.ROUTES, lambda now: now.routes == routes["version_info"])
            self._retire(move, known - desired, known, sight)

    def observe(self, loop: str) -> RoutingState:
        """What Envoy routes now, and how the servers are. Raises Unavailable when Envoy cannot be asked.

        A version is ready once Envoy knows where: before that it can neither get a request nor stand in for another.
        """
        sight = self._see(loop)
        servers = self._servers.state()
        return RoutingState(
            tuple(
                VariantState(
                    version=version,
                    ready=server.ready and reachable,
                    weight=sight.weights.get(version, 0),
                    message="Envoy has not been told of it" if server.ready and not reachable else server.message,
                    restarts=server.restarts,
                    mirror=sight.mirrors.get(version, 0),
                )
                for version in sorted(servers.keys() | sight.weights.keys())
                for server in [servers.get(version, ServerState(None, False, "expected a server, there is none"))]
                for reachable in [(_HERE, server.port, 0) in sight.hosts.get(version, ())]
            )
        )

    def _publish(self, move: _Move, versions: Collection[int], sight: _Sight) -> None:
        """Give Envoy exactly the clusters of `versions`, and wait until it has them, endpoints included."""
        wrote = False
        # Endpoints first: Envoy refuses a cluster whose file is not there.
        for version in versions:
            content = render.endpoints(move.loop, version, move.own, move.behind(version))
            wrote |= _write(self._folder / render.endpoints_file(version), content)
        wrote |= _write(self._folder / render.CLUSTERS, render.clusters(str(self._folder), move.loop, versions))
        expected = {
            version: frozenset(
                (where.address, where.port, priority)
                for priority, of in enumerate(render.order(version, move.behind(version)))
                for where in move.own.get(of, [])
            )
            for version in versions
        }
        if wrote or sight.hosts != expected:
            self._until(move, render.CLUSTERS, lambda now: now.hosts == expected)

    def _retire(self, move: _Move, leaving: Iterable[int], known: set[int], sight: _Sight) -> None:
        """Take away the clusters of `leaving` that have no request left, then their servers."""
        now = self._clock()
        self._left = {version: self._left.get(version, now) for version in leaving}
        # Past the callers' own timeout there is nobody left who waits for an answer.
        patience = self._timeout.total_seconds() + _LINGER
        quiet = {
            version
            for version, since in self._left.items()
            if now - since >= patience or (now - since >= _LINGER and self._active(move.loop, version) == 0)
        }
        if quiet:
            self._publish(move, known - quiet, sight)
            for version in quiet:
                (self._folder / render.endpoints_file(version)).unlink(missing_ok=True)
            self._servers.want(sorted(known - quiet))

    def _until(self, move: _Move, file: str, holds: Callable[[_Sight], bool]) -> None:
        """Ask Envoy until it has taken up what `file` leads to; Unavailable at the deadline."""
        while not holds(self._see(move.loop)):
            if self._clock() >= move.deadline:
                raise Unavailable(
                    f"expected Envoy to take up {self._folder / file} by now; its log says why it has not"
                )
            time.sleep(0.005)

    def _active(self, loop: str, version: int) -> int:
        """Requests that wait for an answer of the version's cluster."""
        prefix = f"cluster.{render.cluster(loop, version)}.upstream_rq_"
        names = f"^{re.escape(prefix)}(pending_)?active$"
        stats = self._ask("/stats", {"format": "json", "filter": names})["stats"]
        return sum(int(stat["value"]) for stat in stats)

    def _see(self, loop: str) -> _Sight:
        weights: dict[int, int] = {}
        mirrors: dict[int, int] = {}
        in_use = ""
        for config in self._ask("/config_dump", {})["configs"]:
            for dynamic in config.get("dynamic_route_configs", []):
                in_use = dynamic.get("version_info", "")
                for host in dynamic["route_config"].get("virtual_hosts", []):
                    for route in (route.get("route", {}) for route in host["routes"]):
                        for part in route.get("weighted_clusters", {}).get("clusters", []):
                            weights[_version(loop, part["name"])] = int(part["weight"])
                        for part in route.get("request_mirror_policies", []):
                            share = part["runtime_fraction"]["default_value"]["numerator"]
                            mirrors[_version(loop, part["cluster"])] = int(share)
        hosts = {
            _version(loop, found["name"]): frozenset(
                (where["address"], int(where["port_value"]), int(status.get("priority", 0)))
                for status in found.get("host_statuses", [])
                for where in [status["address"]["socket_address"]]
            )
            for found in self._ask("/clusters", {"format": "json"}).get("cluster_statuses", [])
        }
        return _Sight(weights, in_use, hosts, mirrors)

    # Envoy's JSON stops at `_see` and `_active`.
    def _ask(self, path: str, params: Mapping[str, str]) -> dict:  # type: ignore[type-arg]
        try:
            answer = self._admin.get(path, params=dict(params)).raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"expected Envoy's admin at {self._admin.base_url}, got {error!r}") from error
        if not isinstance(answer, dict):
            raise Unavailable(f"expected an object of Envoy's admin at {path}, got {type(answer).__name__}")
        return answer

    def _filed(self, loop: str) -> set[int]:
        """The versions of the cluster file: what Envoy knows, or will once it has read it."""
        content = _read(self._folder / render.CLUSTERS) or {}
        return {_version(loop, resource["name"]) for resource in content.get("resources", [])}


def _version(loop: str, name: str) -> int:
    found = re.fullmatch(re.escape(render.cluster(loop, 0)).removesuffix("0") + r"(\d+)", name)
    if found is None:
        raise Fatal(f"expected clusters of {loop} only, found {name}; give every loop an Envoy and a folder of its own")
    return int(found.group(1))


def _read(path: Path) -> dict | None:  # type: ignore[type-arg]
    """The file's object; None when there is none or it is broken."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write(path: Path, content: Mapping[str, object]) -> bool:
    """Replace the file by a rename, which is what Envoy watches for, unless it is so already; whether it was not."""
    if _read(path) == content:
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content, indent=1))
    draft.replace(path)
    return True
