"""The table of routes."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from services.collector.auth import Right, Subresource, Verb
from services.collector.desk import Desk, of_one_namespace
from services.collector.door import Life
from services.collector.logged import Logged
from services.collector.routes import PLACE, TEXT, Ask, Reply, Route, Router


def router(desk: Desk, logged: Logged, life: Life, home: str = "") -> Router:
    """All that is answered. home: the one namespace that this installation is for, "" when it is for all."""

    def of(subresource: Subresource, verb: Verb) -> Callable[[Ask], Right]:
        return lambda ask: Right(subresource, verb, ask.namespace, ask.loop)

    def append(ask: Ask) -> Right:
        return Right("audit", "create", home or of_one_namespace(ask))

    def trail(verb: Verb) -> Callable[[Ask], Right]:
        return lambda _: Right("audit", verb, home)

    return Router(
        (
            Route(
                "predictions", "POST", f"{PLACE}/predictions", "write", desk.predictions, of("predictions", "create")
            ),
            Route("labels", "POST", f"{PLACE}/labels", "write", desk.labels, of("labels", "create")),
            Route("tally", "POST", f"{PLACE}/tally", "read", desk.tally, of("records", "get")),
            Route("rows", "POST", f"{PLACE}/rows", "read", desk.rows, of("records", "get")),
            Route("find", "POST", f"{PLACE}/find", "read", desk.find, of("records", "get")),
            Route("erase", "POST", f"{PLACE}/erase", "write", desk.erase, of("records", "delete")),
            Route("expire", "POST", f"{PLACE}/expire", "write", desk.expire, of("records", "delete")),
            Route("events", "POST", "/events", "write", logged.events, logged.right),
            Route("audit", "POST", "/audit", "write", desk.append, append),
            Route("audit", "GET", "/audit", "read", desk.entries, trail("get")),
            Route("healthz", "GET", "/healthz", "probe", lambda _: Reply(200, b"ok\n", TEXT)),
            Route("readyz", "GET", "/readyz", "probe", lambda _: ready(life)),
            Route("metrics", "GET", "/metrics", "probe", lambda _: _metrics(desk)),
        )
    )


def ready(life: Life) -> Reply:
    """Whether new requests should be sent here."""
    why = "leaving" if life.draining else life.database
    return Reply(503 if why else 200, f"{why or 'ready'}\n".encode(), TEXT)


def _metrics(desk: Desk) -> Reply:
    return Reply(200, generate_latest(desk.metrics.registry), CONTENT_TYPE_LATEST.encode())
