"""Callers: they send flights in the order of their departure, at an even pace, many at a time, and keep each answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
import pandas as pd

from services.demo import flights

TIMEOUT = aiohttp.ClientTimeout(total=15)
_AT_ONCE = 64  # requests under way at most; an even pace needs two or three


@dataclass(frozen=True)
class Answer:
    """One request and what came of it."""

    sent: float  # seconds since the first request
    seconds: float
    status: int  # 0: no answer at all
    version: int | None  # who answered, as far as the answer says
    first: int  # flight_id of its first row; ids of a request's rows follow one another
    rows: int
    scores: tuple[float, ...] = ()


@dataclass
class Replay:
    """Flights on their way through the endpoint; `answers` and `day` may be read while it runs."""

    rows: pd.DataFrame
    url: str
    batch: int  # rows a request
    pace: float  # requests a second
    on_day: Callable[[str, pd.DataFrame], None]  # called with each day that is over, and its flights
    answers: list[Answer] = field(default_factory=list)
    day: str = ""
    began: float = 0.0  # monotonic time of the first request
    stopped: bool = False

    def run(self) -> None:
        """Send everything, or until `stop`; returns when the last answer is there."""
        asyncio.run(self._send_all())

    def stop(self) -> None:
        """Send no more."""
        self.stopped = True

    async def _send_all(self) -> None:
        slots = asyncio.Semaphore(_AT_ONCE)
        bodies = flights.instances(self.rows)
        days = self.rows["time_hour"].dt.strftime("%Y-%m-%d").tolist()
        first_id = int(self.rows["flight_id"].iloc[0])
        sent_until = 0
        connector = aiohttp.TCPConnector(limit=_AT_ONCE)
        async with aiohttp.ClientSession(timeout=TIMEOUT, connector=connector) as session, asyncio.TaskGroup() as group:
            self.began = time.monotonic()
            for number, start in enumerate(range(0, len(bodies), self.batch)):
                await asyncio.sleep(max(0.0, self.began + number / self.pace - time.monotonic()))
                if self.stopped:
                    break
                if self.day and days[start] != self.day:
                    over = self.rows.iloc[sent_until:start]
                    await asyncio.to_thread(self.on_day, self.day, over)
                    sent_until = start
                self.day = days[start]
                await slots.acquire()
                group.create_task(self._send(session, slots, first_id + start, bodies[start : start + self.batch]))

    async def _send(
        self, session: aiohttp.ClientSession, slots: asyncio.Semaphore, first: int, rows: Sequence[object]
    ) -> None:
        began = time.monotonic()
        status, version = 0, None
        scores: tuple[float, ...] = ()
        try:
            async with session.post(self.url, json={"instances": rows}) as response:
                status = response.status
                served_by = response.headers.get("x-serinus-version", "")
                version = int(served_by) if served_by.isdigit() else None
                body = await response.json(content_type=None) if status == 200 else await response.read()
                if isinstance(body, dict):
                    scores = tuple(float(p["score"]) for p in body["predictions"])
        except (aiohttp.ClientError, TimeoutError, ValueError):
            status = 0
        finally:
            slots.release()
        ended = time.monotonic()
        self.answers.append(Answer(began - self.began, ended - began, status, version, first, len(rows), scores))
