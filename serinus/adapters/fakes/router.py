"""A router without traffic: versions get ready by being looked at, shares move by the rules of the real ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from serinus.errors import Unavailable
from serinus.facts import Routing, RoutingState, VariantState
from serinus.render.shares import copies, shares


@dataclass
class _Server:
    """A version's predictor: ready once it was looked at `looks` times more."""

    looks: int
    message: str = "gets ready"
    restarts: int = 0

    @property
    def ready(self) -> bool:
        return self.looks <= 0


@dataclass
class FakeRouter:
    """`ports.Router` in memory.

    `looks`: how many times a new version is observed before it is ready. `away`: every verb raises Unavailable.
    `broken`: versions that never get ready, with why.
    """

    looks: int = 2
    away: bool = False
    broken: dict[int, str] = field(default_factory=dict)
    applied: list[tuple[str, Routing]] = field(default_factory=list)
    _servers: dict[str, dict[int, _Server]] = field(default_factory=dict)
    _weights: dict[str, dict[int, int]] = field(default_factory=dict)
    _mirrors: dict[str, dict[int, int]] = field(default_factory=dict)

    def apply(self, loop: str, routing: Routing) -> None:
        """Start what lacks, move the shares to what is ready, and end what has none and is not wanted."""
        self._ask()
        self.applied.append((loop, routing))
        servers = self._servers.setdefault(loop, {})
        for variant in routing.variants:
            servers.setdefault(variant.version, _Server(self.looks, self.broken.get(variant.version, "gets ready")))
        ready = [version for version in servers if self._ready(loop, version)]
        weights = shares(routing, ready)
        if weights or not routing.variants:
            self._weights[loop] = weights
            self._mirrors[loop] = copies(routing, ready)
            for version in servers.keys() - {v.version for v in routing.variants}:
                del servers[version]

    def observe(self, loop: str) -> RoutingState:
        """What serves now; every look brings what is not ready nearer to it."""
        self._ask()
        servers, weights = self._servers.get(loop, {}), self._weights.get(loop, {})
        mirrors = self._mirrors.get(loop, {})
        for server in servers.values():
            server.looks -= 1
        return RoutingState(
            tuple(
                VariantState(
                    version=version,
                    ready=self._ready(loop, version),
                    weight=weights.get(version, 0),
                    message="" if self._ready(loop, version) else self.broken.get(version, server.message),
                    restarts=server.restarts,
                    mirror=mirrors.get(version, 0),
                )
                for version, server in sorted(servers.items())
            )
        )

    def kill(self, loop: str, version: int) -> None:
        """The version's server ends; it was started again and is not ready yet."""
        server = self._servers[loop][version]
        server.looks, server.message, server.restarts = self.looks, "ended", server.restarts + 1

    def _ready(self, loop: str, version: int) -> bool:
        return version not in self.broken and self._servers[loop][version].ready

    def _ask(self) -> None:
        if self.away:
            raise Unavailable("expected the router to answer, it is away")
