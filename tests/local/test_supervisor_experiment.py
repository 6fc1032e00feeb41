"""An experiment on a laptop: users stay with their version, an application counts what they do, and one wins."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, start_http_server

from serinus.facts import Verdict
from services.local.addresses import free_port
from tests.servers import loops
from tests.servers.loops import Loop

pytestmark = [pytest.mark.xdist_group("supervisor-experiment"), pytest.mark.timeout(400)]

ROLLOUT = {
    **loops.FAST["rollout"],
    "strategy": "experiment",
    "experiment": {"metric": "orders", "header": "x-user", "percent": 40, "horizon": "1h"},
    "guardrails": {
        **loops.FAST["rollout"]["guardrails"],
        "ratios": [
            {
                "name": "orders", "numerator": "shop_orders_total", "denominator": "shop_users_total",
                "better": "higher", "margin": 0.2,
            }
        ],
    },
}  # fmt: skip


@dataclass
class Shop:
    """An application that asks the loop for each of its users, twice, and counts once who of them orders."""

    met: dict[str, set[int]] = field(default_factory=dict)  # user -> the versions that answered
    failed: list[int] = field(default_factory=list)


@contextlib.contextmanager
def shop(loop: Loop, ordering: dict[int, float]) -> Iterator[Shop]:
    """ordering: version -> the share of its users that orders. Prometheus finds the shop by a file of targets."""
    own, registry, over = Shop(), CollectorRegistry(), threading.Event()
    users, orders = (
        Counter(f"shop_{what}", what, ["loop", "version"], registry=registry) for what in ("users", "orders")
    )
    port = free_port()
    server, thread = start_http_server(port, "127.0.0.1", registry)
    targets = loop.state / "prometheus" / "targets" / "shop.json"
    targets.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"]}]))
    url, body = f"{loop.addresses.url('envoy')}/v1/models/{loop.name}:predict", {"instances": loop.rows(1)}

    def serve() -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            number = 0
            while not over.wait(0.02):
                number += 1
                versions = set()
                for _ in range(2):
                    answer = client.post(url, json=body, headers={"x-user": f"user-{number}"})
                    if answer.status_code != httpx.codes.OK:
                        own.failed.append(answer.status_code)
                        continue
                    versions.add(int(answer.headers["x-serinus-version"]))
                own.met[f"user-{number}"] = versions
                for version in versions:
                    users.labels(loop.name, version).inc()
                    # Of ten users in a row as many order as the share says: what is found is the version's doing.
                    if number % 10 < 10 * ordering[version]:
                        orders.labels(loop.name, version).inc()

    caller = threading.Thread(target=serve, daemon=True)
    caller.start()
    try:
        yield own
    finally:
        over.set()
        caller.join()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    with loops.furnished(tmp_path_factory.mktemp("experiment") / "loop", rollout=ROLLOUT) as running:
        running.up()
        running.serves(1)
        yield running


def test_the_version_with_which_more_users_order_is_found_while_each_user_keeps_one(loop: Loop) -> None:
    at = datetime.now(UTC)
    with shop(loop, {1: 0.2, 2: 0.6}) as own:
        version = loop.register()
        loop.gets_traffic(version)
        loop.until(lambda: loop.weights() == {1: 60, version: 40}, "its share of the users")
        met = len(own.met)
        event = loop.happens("Promoted", at, 180)
        during = list(own.met.values())[met:]
    assert "orders: " in event.message
    assert ", better by " in event.message
    assert own.failed == []
    both = [versions for versions in during if len(versions) > 1]
    assert len(both) <= 1, "whoever was between its two requests when everybody moved"
    early = during[:50]
    share = sum(versions == {version} for versions in early) / len(early)
    assert abs(share - 0.4) < 5 * (0.24 / len(early)) ** 0.5
    assert loop.status.champion == version


def test_a_version_with_which_fewer_users_order_is_thrown_back(loop: Loop) -> None:
    at, stable = datetime.now(UTC), loop.status.champion
    assert stable is not None
    version = loop.register()
    with shop(loop, {stable: 0.5, version: 0.2}) as own:
        event = loop.happens("RolledBack", at, 180)
    assert "orders: " in event.message
    assert own.failed == []
    assert loop.status.champion == stable


def test_serinus_status_says_what_is_known_of_the_effect(loop: Loop) -> None:
    version = loop.register()
    stable = loop.status.champion
    assert stable is not None
    with shop(loop, {stable: 0.5, version: 0.5}):
        loop.gets_traffic(version)
        loop.until(lambda: any(v.gate == "experiment" for v in _verdicts(loop)), "the experiment is looked at", 60)
        loop.until(lambda: "a difference between -" in loop.serinus("status").stdout.replace("\n", " "), "it is told")
    loop.ask("rollback")


def _verdicts(loop: Loop) -> tuple[Verdict, ...]:
    return loop.status.rollout.verdicts if loop.status.rollout is not None else ()
