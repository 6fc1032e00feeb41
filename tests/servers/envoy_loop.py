"""One loop's Envoy, predictors and router, and the requests that came of it."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

import httpx

from serinus.adapters.envoy import EnvoyRouter
from serinus.errors import Unavailable
from serinus.facts import Routing, Variant
from tests.servers.envoy import Envoy, Predictors, until
from tests.servers.load import Answer, Load

LOOP = "flights"
FIGURES = logging.getLogger("figures")  # shown by --log-cli-level=INFO


def routing(*shares: tuple[int, int]) -> Routing:
    return Routing(tuple(Variant(version, weight) for version, weight in shares))


class Local:
    """One loop's Envoy, predictors and router."""

    def __init__(self, running: Envoy, servers: Predictors) -> None:
        self.envoy = running
        self.servers = servers
        self.router = self.follower()

    def follower(self) -> EnvoyRouter:
        """The router of a supervisor that has just started."""
        return EnvoyRouter(self.envoy.folder, self.envoy.admin, self.servers, timedelta(seconds=5))

    def weights(self) -> dict[int, int]:
        return {v.version: v.weight for v in self.router.observe(LOOP).variants}

    def apply_once(self, *shares: tuple[int, int]) -> dict[int, int]:
        """One look of a driver; the weights after it."""
        self.router.apply(LOOP, routing(*shares))
        return self.weights()

    def under_way(self, version: int) -> int:
        """Requests that wait for an answer of the version's cluster."""
        return int(self.admin(f"/stats?filter=cluster.{LOOP}-v{version}.upstream_rq_active$").split()[-1])

    def admin(self, path: str) -> str:
        return httpx.get(self.envoy.admin + path, trust_env=False).text

    def reach(self, *shares: tuple[int, int]) -> None:
        """Apply until Envoy routes so, all are ready, and nothing else is left."""
        self.settle(routing(*shares))

    def settle(self, target: Routing) -> None:
        """The same of a routing with copies, or with users who stay where they are."""

        def reached() -> bool:
            try:
                self.router.apply(LOOP, target)
                state = self.router.observe(LOOP).variants
            except Unavailable:  # a machine too busy for Envoy to answer in time: a driver looks again, too
                return False
            seen = tuple(Variant(v.version, v.weight, v.mirror) for v in state)
            return seen == target.variants and all(v.ready for v in state)

        until(reached, f"routing {target}")


def collect(got: Load, count: int) -> list[Answer]:
    """The next `count` answers to requests that are sent from now on."""
    now = time.monotonic()
    until(lambda: len(got.since(now)) >= count, f"{count} more answers", 60)
    return got.since(now)


def report(what: str, got: Load) -> None:
    FIGURES.info("%s: %d requests, %d failed", what, len(got.answers), len(got.failed()))
    assert not got.failed(), got.failed()[:5]
