"""The process' life: listen, look after the database, forget what is old, and leave with no request lost."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import uvicorn

from serinus.errors import Fatal, SerinusError
from services.collector.door import Door, Life
from services.collector.metrics import CollectorMetrics
from services.collector.store import Store
from services.draining import Draining

log = logging.getLogger("serinus.collector")
_LOOK, _RETRY = 5.0, 0.5  # seconds between looks at a database that answers, and at one that does not
_SWEEP = 60.0


@dataclass(frozen=True)
class Chores:
    """What is done beside answering, by threads of `executor`."""

    executor: Executor
    sweep: Callable[[], None]
    forget: Callable[[], int]
    every: float  # seconds from one round of forgetting to the next


class Collector(Draining):
    """The collector on its socket."""

    def __init__(self, door: Door, store: Store, chores: Chores, drain: float, grace: float) -> None:
        super().__init__(
            uvicorn.Config(
                door,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                interface="asgi3",
                proxy_headers=False,
                server_header=False,
                limit_concurrency=1000,  # connections
                timeout_keep_alive=75,
                timeout_graceful_shutdown=max(1, round(grace)),
            ),
            door.life,
            drain,
        )
        self.life: Life = door.life
        self.metrics: CollectorMetrics = door.metrics
        self.store, self.chores = store, chores
        self.fatal: Fatal | None = None
        self._started: Callable[[], None] = lambda: None
        self._tasks: list[asyncio.Task[None]] = []

    def listen(self, sock: socket.socket, started: Callable[[], None] = lambda: None) -> None:
        """Serve until a signal; `started` is told when it listens. Raises Fatal when the database is of no use."""
        self._started = started
        self.run(sockets=[sock])
        if self.fatal is not None:
            raise self.fatal

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and begin to look after things."""
        await super().startup(sockets)
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._tidy())]
        self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and finish what is in work."""
        for task in self._tasks:
            task.cancel()
        await super().shutdown(sockets)

    async def _watch(self) -> None:
        """Keep knowing whether the database can be used."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self.chores.executor, self.store.ping)
                why = ""
            except Fatal as error:
                self.fatal, self.should_exit = error, True
                return
            except Exception as error:
                why = str(error) or type(error).__name__
            if why != self.life.database:
                (log.warning if why else log.info)("the database: %s", why or "ready")
            self.life.database = why
            self.metrics.database_up.set(not why)
            await asyncio.sleep(_RETRY if why else _LOOK)

    async def _tidy(self) -> None:
        """Sweep and forget, now and then."""
        loop, due = asyncio.get_running_loop(), time.monotonic()
        while True:
            if not self.life.database:
                try:
                    await loop.run_in_executor(self.chores.executor, self.chores.sweep)
                    if time.monotonic() >= due:
                        gone = await loop.run_in_executor(self.chores.executor, self.chores.forget)
                        due = time.monotonic() + self.chores.every
                        log.info("%d rows were older than their retention", gone)
                except SerinusError as error:
                    log.warning("tidying is put off: %s", error)
                except Exception:
                    log.exception("tidying failed")
            await asyncio.sleep(_RETRY if self.life.database else min(_SWEEP, self.chores.every))
