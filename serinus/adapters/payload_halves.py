"""Requests and responses of payload loggers that wait for their other side, in the collector's database.

A side is durable before it is acknowledged. Both sides are taken away only once their predictions are kept: whoever is
killed in between finds the pair again, and predictions are kept once whatever is asked twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

import sqlalchemy as sa

from serinus.adapters import sql_engine
from serinus.adapters.records_tables import HALVES, moment, ticks

Side = Literal["request", "response"]
_FORGET = 1000


@dataclass(frozen=True)
class Half:
    """One side of an answered request."""

    namespace: str
    loop: str
    id: str
    side: Side
    version: int
    time: datetime
    body: bytes
    query: str = ""  # how the payload is to be read

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and loop."""
        return self.namespace, self.loop


@dataclass(frozen=True)
class Pair:
    """Both sides."""

    request: Half
    response: Half


class PayloadHalves:
    """For all namespaces. Verbs raise Unavailable as those of the records do."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def put(self, halves: Sequence[Half], now: datetime) -> tuple[Pair, ...]:
        """Keep these, and return the pairs that they are part of; of one side sent twice the first one counts."""
        found: list[Pair] = []
        for (namespace, loop), some in _by_place(halves):
            found += self._put(namespace, loop, some, now)
        return tuple(found)

    def pairs(self, before: datetime, limit: int = 100) -> tuple[Pair, ...]:
        """Pairs both of whose sides were put before that time and are still here: whoever put them was killed."""
        a, b = HALVES.alias("a"), HALVES.alias("b")
        both = sa.and_(
            a.c.namespace == b.c.namespace, a.c.loop == b.c.loop, a.c.id == b.c.id, a.c.side == "request",
            b.c.side == "response",
        )  # fmt: skip
        query = (
            sa.select(a, b).join_from(a, b, both).where(a.c.kept < ticks(before), b.c.kept < ticks(before)).limit(limit)
        )
        wide = len(HALVES.c)
        with sql_engine.reading(self._engine) as connection:
            return tuple(Pair(_half(row[:wide]), _half(row[wide:])) for row in connection.execute(query))

    def done(self, pairs: Sequence[Pair]) -> None:
        """Take away what became predictions."""
        for (namespace, loop), some in _by_place([pair.request for pair in pairs]):
            ids = [half.id for half in some]
            with sql_engine.writing(self._engine, _lock(namespace, loop)) as connection:
                connection.execute(sa.delete(HALVES).where(self._named(namespace, loop, ids)))

    def expire(self, before: datetime) -> int:
        """Forget sides that were put before that time; returns how many."""
        h = HALVES.c
        old = sa.select(h.namespace, h.loop, h.id, h.side).where(h.kept < ticks(before)).limit(_FORGET)
        total = 0
        while True:
            with sql_engine.writing(self._engine, _lock("", "")) as connection:
                went = connection.execute(
                    sa.delete(HALVES).where(sa.tuple_(h.namespace, h.loop, h.id, h.side).in_(old))
                ).rowcount
            total += went
            if went < _FORGET:
                return total

    def _put(self, namespace: str, loop: str, halves: Sequence[Half], now: datetime) -> list[Pair]:
        ids = sorted({half.id for half in halves})
        query = sa.select(HALVES).where(self._named(namespace, loop, ids))
        with sql_engine.writing(self._engine, _lock(namespace, loop)) as connection:
            held: dict[tuple[str, str], Half] = {}
            for half in map(_half, connection.execute(query)):
                held[half.id, half.side] = half
            fresh: dict[tuple[str, str], Half] = {}
            for half in halves:
                if (half.id, half.side) not in held:
                    fresh.setdefault((half.id, half.side), half)
            if fresh:
                connection.execute(sa.insert(HALVES), [_row(half, now) for half in fresh.values()])
        both: dict[tuple[str, str], Half] = held | fresh
        return [
            Pair(both[id, "request"], both[id, "response"])
            for id in ids
            if (id, "request") in both and (id, "response") in both
        ]

    def _named(self, namespace: str, loop: str, ids: Sequence[str]) -> sa.ColumnElement[bool]:
        h = HALVES.c
        return sa.and_(h.namespace == namespace, h.loop == loop, sql_engine.among(self._engine, h.id, ids))


def _by_place(halves: Sequence[Half]) -> Iterator[tuple[tuple[str, str], list[Half]]]:
    for place, some in groupby(sorted(halves, key=lambda half: half.place), lambda half: half.place):
        yield place, list(some)


def _lock(namespace: str, loop: str) -> str:
    return f"halves/{namespace}/{loop}"


def _row(half: Half, now: datetime) -> dict[str, Any]:
    return {**vars(half), "time": ticks(half.time), "kept": ticks(now)}


def _half(row: Sequence[Any]) -> Half:
    given = dict(zip(HALVES.c.keys(), row, strict=True))
    del given["kept"]
    return Half(**{**given, "time": moment(given["time"]), "body": bytes(given["body"])})
