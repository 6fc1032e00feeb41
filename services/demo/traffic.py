"""Callers: they send flights in the order of their departure, at an even pace, many at a time, and keep each answer."""

from __future__ import annotations

import asyncio
import itertools
import math
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
    status: int  # 0: no answer, or one that is not what it should be
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
        bodies = flights.asked(self.rows)
        days = self.rows["time_hour"].dt.strftime("%Y-%m-%d").tolist()
        first_id = int(self.rows["flight_id"].iloc[0])
        handed_over = 0
        connector = aiohttp.TCPConnector(limit=_AT_ONCE)
        async with aiohttp.ClientSession(timeout=TIMEOUT, connector=connector) as session, asyncio.TaskGroup() as group:
            self.began = time.monotonic()
            for number, start in enumerate(range(0, len(bodies), self.batch)):
                await asyncio.sleep(max(0.0, self.began + number / self.pace - time.monotonic()))
                await slots.acquire()
                if self.stopped:
                    break
                if days[start] != days[handed_over]:
                    midnight = days.index(days[start], handed_over)  # a request may hold flights of both its sides
                    await self._hand_over(days[handed_over:midnight], handed_over)
                    handed_over = midnight
                self.day = days[start]
                group.create_task(self._send(session, slots, first_id + start, bodies[start : start + self.batch]))
            else:
                await self._hand_over(days[handed_over:], handed_over)

    async def _hand_over(self, days: Sequence[str], start: int) -> None:
        """The flights of each of these days, whose first row is at `start`."""
        for day, flying in itertools.groupby(days):
            end = start + len(list(flying))
            await asyncio.to_thread(self.on_day, day, self.rows.iloc[start:end])
            start = end

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
                if status == 200:
                    scores = _scores(await response.json(content_type=None), len(rows))
                else:
                    await response.read()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            status = 0
        finally:
            slots.release()
        ended = time.monotonic()
        self.answers.append(Answer(began - self.began, ended - began, status, version, first, len(rows), scores))


def _scores(body: object, rows: int) -> tuple[float, ...]:
    """The score of each row. Raises ValueError when the body is no answer about `rows` rows."""
    try:
        scores = tuple(float(prediction["score"]) for prediction in body["predictions"])  # type: ignore[index]
    except (LookupError, TypeError) as error:
        raise ValueError(f"expected predictions with scores, got {body!r}") from error
    if len(scores) != rows or not all(map(math.isfinite, scores)):
        raise ValueError(f"expected {rows} finite scores, got {scores}")
    return scores
