"""The active replica's work: watches on the event loop, looks in threads, both ended in order."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import UTC, datetime

import kopf

from serinus.adapters.kube import MODEL_LOOPS, Kind, Kube
from serinus.errors import Fatal
from services.operator import handlers
from services.operator.health import Health
from services.operator.keeper import Keeper
from services.operator.loops import Loops
from services.operator.metrics import OperatorMetrics
from services.operator.view import View
from services.operator.wiring import ClusterWiring, Current
from services.platform import Mode, Platform

log = logging.getLogger(__name__)


async def drive(
    platform: Platform, kube: Kube, metrics: OperatorMetrics, health: Health, stop: threading.Event, threads: int
) -> None:
    """Drive all loops until SIGTERM or SIGINT, which set `stop`, or until the watches end by themselves.

    Raises Fatal when the cluster does not know our kinds, Unavailable when it cannot be asked.
    """
    where = platform.watch_namespace or None
    _needed(kube, where)
    if stop.is_set():
        return

    def keeper(namespace: str, name: str) -> Keeper:
        current = Current()
        return Keeper(
            namespace, name, kube, wiring.ports(namespace, name, current), current, platform, View(kube, platform),
            wiring.jobs(), lambda: metrics.fleet.of(name), datetime.now(UTC),
        )  # fmt: skip

    loops = Loops(keeper, metrics, health, threads)
    wiring = ClusterWiring(platform, kube, loops.inbox)
    registry = handlers.registry(loops, _served(kube, where, platform.serving_mode))

    beating = asyncio.create_task(loops.beat())

    async def ended(**_: object) -> None:
        # Before kopf looks for tasks that are left over: it would give ours five seconds, and then cut them off.
        await loops.end()
        beating.cancel()
        ending.set()  # kopf's own task waits for it

    async def asked() -> None:
        # A signal may have come before kopf took them over.
        while not stop.is_set():
            await asyncio.sleep(0.2)
        ending.set()

    kopf.on.cleanup(registry=registry)(ended)
    ending = asyncio.Event()
    asking = asyncio.create_task(asked())
    try:
        await kopf.operator(
            registry=registry,
            settings=handlers.settings(),
            clusterwide=where is None,
            namespaces=[where] if where else [],
            stop_flag=ending,
        )
        stop.set()  # kopf takes the signals, and ends without an error only for them
    finally:
        beating.cancel()
        asking.cancel()
        wiring.close()


def _needed(kube: Kube, where: str | None) -> None:
    for kind in handlers.OURS:
        try:
            kube.list(kind, where, name=MODEL_LOOPS.plural)  # one that nobody has: only the answer's code counts
        except Fatal as error:
            raise Fatal(
                f"expected the cluster to know {kind.kind} ({kind.api}) and to let us list it: {error}"
            ) from error


def _served(kube: Kube, where: str | None, mode: Mode) -> tuple[Kind, ...]:
    """The serving kinds that are there. Without them loops still train; their routers say what lacks."""
    found = []
    for kind in handlers.serving(mode):
        try:
            kube.list(kind, where, name=MODEL_LOOPS.plural)
        except Fatal as error:
            log.warning("no change of a %s will be seen until the next start: %s", kind.kind, error)
        else:
            found.append(kind)
    return tuple(found)
