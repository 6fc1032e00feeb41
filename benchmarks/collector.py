"""What the collector bears: predictions and labels, so many a second for minutes, into a real Postgres on this machine.

    python -m benchmarks.collector [--rate 2000] [--minutes 5] [--batch 500] [--loops 4] [--sqlite]

Batches are due at fixed times, whether or not those before were taken: a latency counts from when its batch was due,
and what waits longer than `--patience` is dropped, as predictors drop it. Labels come `--delay` seconds after their
predictions, in another order, some for ids that nobody knows, some twice. Postgres waits for the disk (fsync), as it
does by default. The load's own processor time is on the same cores. At the end every acknowledged row is counted in
the database.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import orjson
import psutil
import sqlalchemy as sa

from serinus.adapters import sql_engine
from serinus.adapters.records_tables import LABELS, PREDICTIONS
from tests.servers.collector import Collector, collector
from tests.servers.postgres import running

Kind = Literal["predictions", "labels"]
KINDS: tuple[Kind, ...] = ("predictions", "labels")
FEATURES = 15
CITIES = ("Amsterdam", "Berlin", "Copenhagen", "Dublin", "Edinburgh")
STRANGE, DOUBLED = 0.05, 0.01  # shares of labels that are for unknown predictions, and that come twice


@dataclass(frozen=True)
class Batch:
    """Rows that are due."""

    kind: Kind
    loop: str
    due: float  # by time.monotonic
    rows: Sequence[dict[str, object]]


@dataclass
class Said:
    """What became of one kind."""

    taken: int = 0
    dropped: int = 0
    repeated: int = 0  # batches that were sent again
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class Load:
    """Makes batches when they are due, and sends them."""

    def __init__(self, server: Collector, given: argparse.Namespace) -> None:
        self.server, self.given = server, given
        self.random = random.Random(given.seed)
        self.waiting: dict[Kind, queue.Queue[Batch | None]] = {kind: queue.Queue() for kind in KINDS}
        self.said = {kind: Said() for kind in KINDS}
        self.lock = threading.Lock()

    def run(self, seconds: float) -> None:
        """The whole load; returns when everything is sent or dropped."""
        senders = self.given.senders
        with ThreadPoolExecutor(2 * senders) as pool:
            work = [pool.submit(self._send, kind) for kind in KINDS for _ in range(senders)]
            self._schedule(seconds)
            for kind in KINDS:
                for _ in range(senders):
                    self.waiting[kind].put(None)
            for each in work:
                each.result()

    def _schedule(self, seconds: float) -> None:
        given, begun, number = self.given, time.monotonic(), 0
        pause, later = given.batch / given.rate, deque[Batch]()
        while (due := begun + number * pause) < begun + seconds:
            loop = f"loop{number % given.loops}"
            rows = [self._row(f"{loop}-{number}-{n}") for n in range(given.batch)]
            labels = [{"id": row["id"], "truth": self.random.choice(("yes", "no"))} for row in rows]
            for label in labels:
                if self.random.random() < STRANGE:
                    label["id"] = f"unknown-{label['id']}"
            labels += [label for label in labels if self.random.random() < DOUBLED]
            self.random.shuffle(labels)
            later.append(Batch("labels", loop, due + given.delay, labels))
            self._wait(due)
            self.waiting["predictions"].put(Batch("predictions", loop, due, rows))
            while later and later[0].due <= due:
                self.waiting["labels"].put(later.popleft())
            number += 1
        for batch in later:
            self._wait(batch.due)
            self.waiting["labels"].put(batch)

    def _row(self, name: str) -> dict[str, object]:
        features: dict[str, object] = {f"n{n}": self.random.random() for n in range(FEATURES - 1)}
        features["city"] = self.random.choice(CITIES)
        score = self.random.random()
        return {
            "id": name, "version": 3, "time": datetime.now(UTC).isoformat(), "features": features, "score": score,
            "answer": "yes" if score > 0.5 else "no", "key": f"customer-{self.random.randrange(100_000)}",
        }  # fmt: skip

    def _wait(self, due: float) -> None:
        if (left := due - time.monotonic()) > 0:
            time.sleep(left)

    def _send(self, kind: Kind) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        said = self.said[kind]
        with contextlib.closing(connection):
            while (batch := self.waiting[kind].get()) is not None:
                body, taken = orjson.dumps({kind: batch.rows}), False
                while not taken and time.monotonic() - batch.due < self.given.patience:
                    answer = self._post(connection, f"/loops/bench/{batch.loop}/{kind}", body)
                    with self.lock:
                        if answer is None:
                            said.repeated += 1
                            continue
                        taken = True
                        said.taken += len(batch.rows)
                        said.outcomes.update(answer)
                        said.seconds.append(time.monotonic() - batch.due)
                if not taken:
                    with self.lock:
                        said.dropped += len(batch.rows)

    def _post(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> dict[str, int] | None:
        try:
            connection.request("POST", path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return None
        if answer.status == 503:
            time.sleep(0.2)
            return None
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}: {content[:200]!r}")
        return dict(orjson.loads(content)["outcomes"])


@dataclass
class Watch:
    """Memory and processor time of the parts, every few seconds."""

    parts: dict[str, psutil.Process]
    every: float
    stop: threading.Event = field(default_factory=threading.Event)
    memory: list[tuple[float, float]] = field(default_factory=list)  # (seconds since the start, MiB of the collector)

    def run(self) -> None:
        begun = time.monotonic()
        while True:
            at = time.monotonic() - begun
            self.memory.append((at, self.parts["collector"].memory_info().rss / 2**20))
            print(f"{at:6.0f} s  collector {self.memory[-1][1]:6.1f} MiB", flush=True)
            if self.stop.wait(self.every):
                return

    def processor(self) -> dict[str, float]:
        """Seconds so far, by part; of children that are gone as well."""
        return {name: _seconds(process) for name, process in self.parts.items()}


def _seconds(process: psutil.Process) -> float:
    own = process.cpu_times()
    total = own.user + own.system
    if process.pid != psutil.Process().pid:
        total += own.children_user + own.children_system
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                total += times.user + times.system
    return float(total)


@contextlib.contextmanager
def _database(given: argparse.Namespace, folder: Path) -> Iterator[tuple[str, psutil.Process | None]]:
    if given.sqlite:
        yield f"sqlite:///{folder}/records.db", None
        return
    with running(durable=True) as server:
        assert server.process is not None
        yield server.fresh(), psutil.Process(server.process.pid)


def main() -> int:
    """Measure; 1 when rows were dropped or lost, or the rate was not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=2000, help="predictions a second, and labels a second")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--batch", type=int, default=500, help="rows of a request")
    parser.add_argument("--loops", type=int, default=4)
    parser.add_argument("--senders", type=int, default=4, help="connections for each kind")
    parser.add_argument("--delay", type=float, default=10, help="s from a prediction to its label")
    parser.add_argument("--patience", type=float, default=30, help="s after which a batch is dropped")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sqlite", action="store_true", help="into SQLite instead")
    given = parser.parse_args()
    seconds = given.minutes * 60
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _database(given, folder) as (url, process), collector(folder, url) as server:
            assert server.process is not None
            parts = {"load": psutil.Process(), "collector": psutil.Process(server.process.pid)}
            watch = Watch({**parts, **({"database": process} if process else {})}, max(5.0, seconds / 20))
            load, before, begun = Load(server, given), watch.processor(), time.monotonic()
            watching = threading.Thread(target=watch.run)
            watching.start()
            load.run(seconds)
            took = time.monotonic() - begun
            watch.stop.set()
            watching.join()
            shares = {part: (used - before[part]) / took for part, used in watch.processor().items()}
            return _tell(given, url, load, watch, shares, seconds)


def _tell(
    given: argparse.Namespace, url: str, load: Load, watch: Watch, shares: dict[str, float], seconds: float
) -> int:
    good = True
    for kind, said in load.said.items():
        rate = said.taken / seconds
        good &= said.dropped == 0 and (kind == "labels" or rate > 0.99 * given.rate)
        milliseconds = [1000 * said.quantile(share) for share in (0.5, 0.95, 0.99, 1)]
        print(
            f"{kind}: {said.taken:,} taken, {rate:,.0f} a second, {said.dropped:,} dropped, {said.repeated} batches"
            f" sent again; from due to durable p50 {milliseconds[0]:.0f}, p95 {milliseconds[1]:.0f}, p99"
            f" {milliseconds[2]:.0f}, worst {milliseconds[3]:.0f} ms; {dict(said.outcomes)}"
        )
    print("cores: " + ", ".join(f"{part} {share:.2f}" for part, share in shares.items()))
    half = [memory for at, memory in watch.memory if at > seconds / 2]
    print(
        f"the collector's memory: {watch.memory[0][1]:.0f} MiB at first, {min(half):.0f} to {max(half):.0f} MiB in the"
        f" second half, {max(memory for _, memory in watch.memory):.0f} MiB at most"
    )
    engine = sql_engine.connect(url)
    with sql_engine.reading(engine) as connection:
        rows = int(connection.scalar(sa.select(sa.func.count()).select_from(PREDICTIONS)) or 0)
        labels = int(connection.scalar(sa.select(sa.func.count()).select_from(LABELS)) or 0)
        waiting = int(connection.scalar(sa.select(sa.func.count()).where(LABELS.c.waiting)) or 0)
        size = None if given.sqlite else connection.scalar(sa.text("SELECT pg_database_size(current_database())"))
    engine.dispose()
    held = f"held: {rows:,} predictions, {labels:,} labels, {waiting} of them waiting"
    print(held + (f"; {size / 2**20:,.0f} MiB" if size else ""))
    outcomes = load.said["labels"].outcomes
    lost = rows != load.said["predictions"].outcomes["new"] or labels != outcomes["joined"] + outcomes["waiting"]
    print("LOST ROWS" if lost else "every acknowledged row is there, once")
    return 0 if good and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
