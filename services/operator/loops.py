"""Every loop's life: one asyncio task that looks in a pool of threads, when it is woken or when its pace says so.

Everything here runs on the event loop's thread; only `Keeper.look` runs elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from serinus.adapters.kube import LOOP_REQUESTS, Object
from services.operator.health import Health
from services.operator.keeper import Keeper, Turn
from services.operator.metrics import OperatorMetrics

log = logging.getLogger(__name__)

GAP = 0.5  # seconds between two looks of a loop, however often it is woken: many events are one change
THREADS = 8  # looks at once; most of a look is waiting for others
LAST = 20.0  # seconds that looks under way get to end when the operator ends

Key = tuple[str, str]  # namespace, name


@dataclass
class _Life:
    """A loop as the watches know it."""

    keeper: Keeper
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    generation: int = 0  # of the latest spec that the watches told of
    looked: int = 0  # of the latest spec that a look read
    task: asyncio.Task[None] | None = None


class Loops:
    """All loops that this replica drives."""

    def __init__(
        self, keeper: Callable[[str, str], Keeper], metrics: OperatorMetrics, health: Health, threads: int = THREADS
    ) -> None:
        self._keeper, self._metrics, self._health = keeper, metrics, health
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="look")
        self._lives: dict[Key, _Life] = {}
        self._inbox: dict[Key, dict[str, Object]] = {}  # LoopRequests and ModelApprovals, by uid
        self._ended = False
        metrics.loops.set_function(lambda: len(self._lives))

    def noticed(self, namespace: str, name: str, generation: int, changed: bool) -> None:
        """The watches told of a ModelLoop. changed: whether there is news beyond what its generation tells."""
        life = self._lives.get((namespace, name))
        if life is None:
            if not self._ended:
                self._begin(namespace, name, generation)
            return
        if generation != life.generation or changed:
            life.generation = generation
            life.wake.set()

    def gone(self, namespace: str, name: str) -> None:
        """The watches told that a ModelLoop is there no more: its keeper sees for itself, and its name may be free."""
        self.wake(namespace, name)
        self._rivals(namespace, name)

    def wake(self, namespace: str, name: str) -> None:
        """Something that the loop goes by has changed."""
        life = self._lives.get((namespace, name))
        if life is not None:
            life.wake.set()

    def put(self, item: Object, gone: bool = False) -> None:
        """A LoopRequest or ModelApproval was seen, or seen to be gone."""
        about = item["metadata"]
        key = about["namespace"], str((item.get("spec") or {}).get("loop"))
        kept = self._inbox.setdefault(key, {})
        if gone:
            kept.pop(about["uid"], None)
            if not kept:
                del self._inbox[key]
            return
        fresh = about["uid"] not in kept
        kept[about["uid"]] = item
        if fresh:
            self.wake(*key)

    def forget(self, namespace: str, name: str, handled: Iterable[str]) -> None:
        """Requests are done with: the ledger has deleted them, and a watch that was cut off may never tell of it."""
        kept, ids = self._inbox.get((namespace, name), {}), set(handled)
        for uid, item in tuple(kept.items()):
            if item["kind"] == LOOP_REQUESTS.kind and item["spec"].get("id") in ids:
                del kept[uid]

    def inbox(self, namespace: str, name: str) -> Iterable[Object]:
        """What the watches hold for a loop. Called from the looks' threads; a copy of a dict's values is atomic."""
        return tuple(self._inbox.get((namespace, name), {}).values())

    async def end(self) -> None:
        """Begin no more looks, and wait for those under way, for `LAST` seconds."""
        self._ended = True
        tasks = [life.task for life in self._lives.values() if life.task is not None]
        for life in self._lives.values():
            life.wake.set()
        if tasks:
            await asyncio.wait(tasks, timeout=LAST)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def beat(self) -> None:
        """Tell the health probe that the event loop turns, for as long as it does; and what the watches owe."""
        while True:
            self._health.beat = time.monotonic()
            behind = any(life.looked > life.generation for life in self._lives.values())
            self._health.blind = (self._health.blind or time.monotonic()) if behind else None
            await asyncio.sleep(1)

    def _begin(self, namespace: str, name: str, generation: int) -> None:
        life = _Life(self._keeper(namespace, name), generation=generation)
        self._lives[namespace, name] = life
        self._rivals(namespace, name)
        life.task = asyncio.create_task(self._live((namespace, name), life), name=f"{namespace}/{name}")

    def _rivals(self, namespace: str, name: str) -> None:
        for (where, other), life in self._lives.items():
            if other == name and where != namespace:
                life.keeper.recheck()
                life.wake.set()

    async def _live(self, key: Key, life: _Life) -> None:
        while not self._ended:
            life.wake.clear()
            turn = await self._look(life)
            if turn.generation is not None:
                life.looked = turn.generation
            if turn.handled and key in self._inbox:
                self.forget(*key, turn.handled)
            if turn.wait is None:
                if not life.wake.is_set():  # else one of its name was made again meanwhile
                    break
                continue
            wait = turn.wait.total_seconds()
            first = min(GAP, wait)
            await asyncio.sleep(first)
            with suppress(TimeoutError):
                await asyncio.wait_for(life.wake.wait(), wait - first)
        if self._lives.get(key) is life and not self._ended:
            del self._lives[key]
            if not self._named(key[1]):
                self._metrics.fleet.forget(key[1])
            self._rivals(*key)

    async def _look(self, life: _Life) -> Turn:
        self._metrics.waiting.inc()
        begun = asyncio.get_running_loop().run_in_executor(self._pool, self._timed, life.keeper)
        return await begun

    def _timed(self, keeper: Keeper) -> Turn:
        self._metrics.waiting.dec()
        began = time.monotonic()
        turn = keeper.look()
        self._metrics.seconds.observe(time.monotonic() - began)
        self._metrics.looks.labels(turn.result).inc()
        return turn

    def _named(self, name: str) -> bool:
        return any(other == name for _, other in self._lives)
