"""What payload loggers send becomes predictions once both sides of a request are here."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from serinus.adapters.payload_halves import Pair
from serinus.facts import Prediction
from services.collector.auth import Right
from services.collector.desk import Desk
from services.collector.events import halves, place_of, reading_of
from services.collector.payloads import predictions
from services.collector.reading import MOST_PROBLEMS, Refused
from services.collector.routes import Ask, Reply, said

log = logging.getLogger("serinus.collector")
WAIT = timedelta(hours=1)
"""How long one side waits for the other: a request that failed has no response that is logged."""
_MINE = timedelta(minutes=1)  # a pair this old belongs to nobody who is at work


@dataclass(frozen=True)
class Logged:
    """Pairs events, and keeps what they say."""

    desk: Desk
    now: Callable[[], datetime]
    trusted: frozenset[str] = frozenset()  # namespaces whose loggers show no token, as KServe's cannot

    def right(self, ask: Ask) -> Right | None:
        """To post predictions of the loop that the event names; a batch may be of any in all namespaces."""
        namespace, loop = place_of(ask.headers, ask.query)
        return None if namespace in self.trusted else Right("predictions", "create", namespace, loop)

    def events(self, ask: Ask) -> Reply:
        """POST one CloudEvent, or a batch of them."""
        parsed = halves(ask.headers, ask.body, ask.query, self.now())
        store, counted = self.desk.store, self.desk.metrics.events
        self.desk.check(reading_of(ask.query).hash)
        pairs = store.halves.put(parsed.items, self.now())
        problems = self._keep(pairs)
        counted.labels("invalid").inc(parsed.invalid)
        counted.labels("taken").inc(len(parsed.items))
        outcomes = {"taken": len(parsed.items), "invalid": parsed.invalid}
        return said(200, {"outcomes": outcomes, "problems": [*parsed.problems, *problems][:MOST_PROBLEMS]})

    def sweep(self) -> None:
        """Keep pairs whose keeper was killed, and forget sides that waited too long. Raises Unavailable."""
        store = self.desk.store
        while pairs := store.halves.pairs(self.now() - _MINE):
            self._keep(pairs)
        unpaired = store.halves.expire(self.now() - WAIT)
        self.desk.metrics.events.labels("unpaired").inc(unpaired)

    def _keep(self, pairs: Sequence[Pair]) -> list[str]:
        """Predictions of pairs; sides are taken away once these are durable. Returns what is wrong with some."""
        problems: list[str] = []
        groups: dict[tuple[str, str, tuple[str, ...]], list[Prediction]] = {}
        unread = Counter[tuple[str, str]]()
        for pair in pairs:
            half, reading = pair.response, reading_of(pair.response.query)
            place = (half.namespace, half.loop, reading.hash)
            try:
                rows = predictions(half.id, pair.request.body, half.body, half.version, half.time, reading)
            except ValueError as error:
                problems.append(f"{half.loop}, {half.id}: {error}")
                unread[half.place] += 1
            else:
                groups.setdefault(place, []).extend(rows)
        for (namespace, loop, hidden), rows in groups.items():
            try:
                problems += self.desk.add(namespace, loop, rows, hidden).problems
            except Refused as refusal:  # the key for hashes was there when the sides came
                problems.append(f"{loop}: {refusal}")
        for (namespace, loop), number in unread.items():
            self.desk.metrics.predictions(namespace, loop, {"invalid": number})
        self.desk.store.halves.done(pairs)
        self.desk.metrics.events.labels("paired").inc(2 * len(pairs))
        for problem in problems[:3]:
            log.warning("a logged request: %s", problem)
        return problems
