"""Answered rows on their way to the collector. No answer ever waits for it: a request leaves its row, written down, in
a bounded queue; one thread makes batches of them and posts these. What does not fit is dropped and counted.
"""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.predictor.batches import Answered, form
from services.predictor.inputs import Rows
from services.predictor.posting import Answer, Post

log = logging.getLogger("serinus.predictor")

Reason = Literal["overflow", "refused", "ended"]
REASONS: tuple[Reason, ...] = ("overflow", "refused", "ended")

BATCH = 2000  # rows
PAUSE = 1.0  # seconds that the first row of a batch waits for others
LARGE = 4 * 1024 * 1024  # bytes that end a batch; the collector takes 8 MiB
TIMEOUT = 10.0  # seconds for an answer
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds from the n-th failure in a row to the next try
_LAST_PAUSE = 0.1  # seconds, once the process leaves
_WRONG = frozenset({400, 405, 411, 413, 415, 422})  # statuses that say that the same body will never be taken


@dataclass(frozen=True)
class Collecting:
    """What is kept of the answers, and who takes it."""

    url: str  # the collector's, without a path
    namespace: str
    loop: str
    version: int
    features: tuple[str, ...]  # that each row has
    sample: float = 1.0  # share of the rows; which ones goes by their id
    columns: tuple[str, ...] | None = None  # the features that it gets; None: all
    hash: tuple[str, ...] = ()  # columns that the collector keeps as a hash
    token: Path | None = None  # file with a bearer token, read anew for each batch: such tokens are rotated
    queue: int = 10_000  # rows, those of the batch under way included


@dataclass(frozen=True)
class Metrics:
    """The children of one version's metrics."""

    sent: Counter
    dropped: Mapping[Reason, Counter]
    queue: Gauge


def metrics(collecting: Collecting, registry: CollectorRegistry) -> Metrics:
    """Register the metrics with `registry`."""
    who = {"loop": collecting.loop, "version": str(collecting.version)}
    names = tuple(who)
    sent = Counter("serinus_collect_sent_total", "Rows that the collector has", names, registry=registry)
    dropped = Counter(
        "serinus_collect_dropped_total",
        "Rows it will never have: overflow (the queue was full), refused, ended (unsent when the process left)",
        (*names, "reason"),
        registry=registry,
    )
    queue = Gauge("serinus_collect_queue", "Rows that wait for the collector", names, registry=registry)
    return Metrics(
        sent.labels(**who), {reason: dropped.labels(**who, reason=reason) for reason in REASONS}, queue.labels(**who)
    )


def kept(id: str, sample: float) -> bool:
    """Whether the row `id` is in the sample; the same id always gets the same answer."""
    if sample >= 1:
        return True
    return int.from_bytes(blake2b(id.encode(), digest_size=8).digest()) < sample * 2**64


class Collector:
    """The queue and its thread. `offer` is called by one thread only, the event loop's."""

    def __init__(self, collecting: Collecting, counted: Metrics) -> None:
        self.collecting = collecting
        self._metrics = counted
        self._post = Post(collecting.url, collecting.namespace, collecting.loop, collecting.token)
        self._form = form(collecting.version, collecting.features, collecting.columns, collecting.hash)
        # Rows that are written, and (request, how many of its rows) of requests with several, which take a while.
        self._waiting: deque[bytes | tuple[Answered, int]] = deque()
        self._enough = min(BATCH, max(1, collecting.queue // 2))  # rows that are sent at once
        self._offered = 0  # rows ever taken into the queue; written by the event loop
        self._settled = 0  # rows of those that are sent, dropped or not in the sample; written by the thread
        self._open: Iterator[bytes] = iter(())  # the request whose rows are being taken
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._until = float("inf")  # monotonic; when everything has to be sent
        self._failures = 0  # in a row
        self._odd = False  # whether there was a row that is no JSON
        self._lost = 0  # rows that were left when the time to leave was over
        self._thread = threading.Thread(target=self._run, name="collect", daemon=True)
        counted.queue.set_function(lambda: float(self.waiting))

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows that are neither sent nor dropped."""
        return self._offered - self._settled

    def offer(self, id: str, rows: Rows, scores: Sequence[float], labels: Sequence[str] | None) -> None:
        """Take the rows of an answered request along, as many as there is room for; returns at once."""
        count = len(scores)
        if count == 1 and not kept(id, self.collecting.sample):
            return
        room = self.collecting.queue - self.waiting
        if count > room:
            self._metrics.dropped["overflow"].inc(count - max(0, room))
            count = room
            if count <= 0:
                return
        answered = Answered(time.time_ns() // 1000, id, rows, scores, labels)
        entry = (answered, count) if len(scores) > 1 else self._written(answered, 0)
        if entry is None:
            self._metrics.dropped["refused"].inc()
            return
        self._offered += count
        self._waiting.append(entry)
        if self.waiting >= self._enough and not self._wake.is_set():
            self._wake.set()

    def _written(self, answered: Answered, index: int) -> bytes | None:
        """The row as it travels; None, and the first time a line in the log, when it cannot be written."""
        try:
            return self._form.row(answered, index)
        except TypeError as error:
            if not self._odd:
                log.error("answered rows that are no JSON are not collected: %s", error)
            self._odd = True
            return None

    def close(self, seconds: float = 2.0) -> None:
        """Send what waits, for at most so long; what is left then is dropped."""
        self._until = time.monotonic() + seconds
        self._ending.set()
        self._wake.set()
        self._thread.join(seconds + 0.5)
        stuck = self.waiting  # the thread waits for an answer that does not come
        self._metrics.dropped["ended"].inc(stuck)
        if lost := self._lost + stuck:
            log.error("%d answered rows were not taken by the collector at %s", lost, self.collecting.url)

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending.is_set():
            self._wake.wait(PAUSE)
            self._wake.clear()
            self._flush()
        self._flush()

    def _flush(self) -> None:
        """Send what lies there; rows that come meanwhile go with the next batch."""
        end = self._offered
        while self._settled < end:
            batch = self._take()
            if batch:
                self._deliver(batch)

    def _take(self) -> list[bytes]:
        """The next rows, at most a batch of them."""
        batch: list[bytes] = []
        size = 0
        while len(batch) < BATCH and size < LARGE:
            row = next(self._open, None)
            if row is None:
                if not self._waiting:
                    break
                entry = self._waiting.popleft()
                if not isinstance(entry, bytes):
                    self._open = self._rows(*entry)
                    continue
                row = entry
            batch.append(row)
            size += len(row)
        return batch

    def _rows(self, answered: Answered, count: int) -> Iterator[bytes]:
        """The first rows of a request, written down; those outside the sample are settled by that."""
        for index in range(count):
            if not kept(answered.name(index), self.collecting.sample):
                self._settled += 1
            elif (row := self._written(answered, index)) is None:
                self._drop("refused", 1)
            else:
                yield row

    def _deliver(self, batch: list[bytes]) -> None:
        """Post the batch until it is taken, refused, or the process is gone."""
        body = self._form.body(batch)
        while (left := self._until - time.monotonic()) > 0:
            answer = self._post(body, min(TIMEOUT, left))
            if answer.status == http.client.OK:
                self._taken(batch, answer)
                return
            if answer.status == http.client.REQUEST_ENTITY_TOO_LARGE and len(batch) > 1:
                self._halve(batch)
                return
            if answer.status in _WRONG:
                log.error("the collector refused %d rows: %s", len(batch), answer.said)
                self._drop("refused", len(batch))
                return
            self._rest(answer)
        self._lost += len(batch)
        self._drop("ended", len(batch))

    def _halve(self, batch: list[bytes]) -> None:
        half = len(batch) // 2
        self._deliver(batch[:half])
        self._deliver(batch[half:])

    def _taken(self, batch: Sequence[object], answer: Answer) -> None:
        if self._failures:
            log.warning("the collector at %s takes rows again", self.collecting.url)
        self._failures = 0
        invalid = answer.invalid
        if invalid:
            log.error("the collector found %d of %d rows invalid: %s", invalid, len(batch), answer.said)
            self._metrics.dropped["refused"].inc(invalid)
        self._metrics.sent.inc(len(batch) - invalid)
        self._settled += len(batch)

    def _drop(self, reason: Reason, count: int) -> None:
        self._metrics.dropped[reason].inc(count)
        self._settled += count

    def _rest(self, answer: Answer) -> None:
        """Wait for the next try, longer each time; when the process leaves, hardly at all."""
        if not self._failures:
            log.warning("the collector at %s does not take rows: %s", self.collecting.url, answer.said)
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        if self._ending.wait(pause):
            time.sleep(_LAST_PAUSE)
