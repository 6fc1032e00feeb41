"""How fast the database of records takes predictions and labels, and how fast it counts them.

    .venv/bin/python -m benchmarks.records_sql [--rows 1000000] [--batch 5000] [--database postgres|sqlite]

Postgres is a real one of its own with every commit on the disk. Predictions are taken first, then a label for each, by
id; then they are counted by day, and by day and carrier. Exits 1 when the labels, and the tally that joins them, take
longer than --most seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import psutil

from serinus.adapters import migrations, sql_engine
from serinus.adapters.records_sql import SqlRecords
from serinus.facts import Label, Prediction, RowsQuestion, Tally, TallyQuestion, Window
from tests.servers import postgres

T = TypeVar("T")
LOOP, DAYS = "flight-delay", 30
START = datetime(2026, 1, 1, tzinfo=UTC)
CARRIERS = ("AA", "B6", "DL", "EV", "UA", "US", "WN")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--database", choices=("postgres", "sqlite"), default="postgres")
    parser.add_argument("--most", type=float, default=60.0)
    args = parser.parse_args()
    with database(args.database) as (url, server):
        engine = sql_engine.connect(url)
        migrations.up(engine)
        watch = Watch(psutil.Process(server.process.pid) if server and server.process else None)
        took = measure(SqlRecords(engine, "bench", b"0123456789abcdef"), args.rows, args.batch, watch)
        engine.dispose()
        print(
            f"memory: this program {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most", end=""
        )
        print(f", the server {memory(server):.0f} MiB" if server else "")
    print(f"{args.rows:,} labels joined and counted in {took:.1f} s, at most {args.most:g} wanted")
    return 0 if took <= args.most else 1


@dataclass
class Watch:
    """How much time went by, and how much processor was used: by this program, and by the server's connections."""

    server: psutil.Process | None
    took: float = 0.0
    ours: float = 0.0
    theirs: float = 0.0
    slowest: float = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        begun, ours, theirs = time.perf_counter(), time.process_time(), self._server()
        yield
        last = time.perf_counter() - begun
        self.took += last
        self.slowest = max(self.slowest, last)
        self.ours += time.process_time() - ours
        self.theirs += self._server() - theirs

    def said(self) -> str:
        return f"{self.took:6.2f} s, processor {self.ours:.1f} s here" + (
            f" and {self.theirs:.1f} s in the server" if self.server else ""
        )

    def _server(self) -> float:
        family = [self.server, *self.server.children(recursive=True)] if self.server else []
        return sum(sum(each.cpu_times()[:2]) for each in family)


def measure(records: SqlRecords, rows: int, batch: int, watch: Watch) -> float:
    """Seconds from the first label to the tally of all."""
    starts = range(0, rows, batch)

    def add(items: list[Prediction]) -> int:
        return records.add(LOOP, items).outcomes["new"]

    def label(items: list[Label]) -> int:
        return records.label(LOOP, items).outcomes["joined"]

    timed("predictions", rows, (predictions(n, batch, rows) for n in starts), add, replace(watch))
    labelled = timed("labels", rows, (labels(n, batch, rows) for n in starts), label, replace(watch))
    whole = TallyQuestion(START, START + timedelta(days=DAYS), 86_400.0)
    joined = counted(records, "tally by day", whole, rows, replace(watch))
    counted(records, "tally by day, again", whole, rows, replace(watch))
    sliced = TallyQuestion(whole.start, whole.end, whole.every, columns=("carrier",))
    counted(records, "tally by carrier", sliced, rows, replace(watch))
    day = TallyQuestion(START, START + timedelta(days=1), 86_400.0)
    counted(records, "tally of one day", day, -(-rows // DAYS), replace(watch))
    sample = replace(watch)
    with sample.running():
        found = records.rows(LOOP, RowsQuestion(Window(START, whole.end), labelled=True, limit=10_000))
    print(f"{'sample':<20} {len(found):>9,} rows   {sample.said()}", flush=True)
    return labelled + joined


def timed(what: str, rows: int, batches: Iterator[list[T]], take: Callable[[list[T]], int], watch: Watch) -> float:
    """Seconds that taking all batches took, without making them; says how fast that was."""
    done = 0
    for batch in batches:
        with watch.running():
            done += take(batch)
    assert done == rows, f"expected {rows} {what}, got {done}"
    print(
        f"{what:<20} {rows:>9,} rows   {watch.said()}; {rows / watch.took:,.0f} a second,"
        f" slowest batch {watch.slowest:.2f} s",
        flush=True,
    )
    return watch.took


def counted(records: SqlRecords, what: str, question: TallyQuestion, rows: int, watch: Watch) -> float:
    """Seconds that counting took."""
    with watch.running():
        found: tuple[Tally, ...] = records.tally(LOOP, question)
    whole = sum(tally.rows for tally in found if not tally.column)
    assert whole == sum(tally.labelled for tally in found if not tally.column) == rows, f"expected {rows}, got {whole}"
    print(f"{what:<20} {sum(len(tally.cells) for tally in found):>9,} cells  {watch.said()}", flush=True)
    return watch.took


def predictions(first: int, batch: int, rows: int) -> list[Prediction]:
    draw = random.Random(first)
    return [
        Prediction(
            name(n),
            1 + n % 2,
            START + timedelta(days=DAYS) * n / rows,
            {"carrier": draw.choice(CARRIERS), "origin": "JFK", "distance": 1400.0 + n % 100, "hour": float(n % 24)},
            draw.random(),
            draw.choice(("yes", "no")),
        )
        for n in range(first, min(first + batch, rows))
    ]


def labels(first: int, batch: int, rows: int) -> list[Label]:
    draw = random.Random(-first)
    at = START + timedelta(days=DAYS + 1)
    return [Label(draw.choice(("yes", "no")), at, name(n)) for n in range(first, min(first + batch, rows))]


def name(number: int) -> str:
    """Ids as requests have them: in no order."""
    return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()


def memory(server: postgres.Postgres) -> float:
    """MiB of all its processes; what they share counts once."""
    assert server.process is not None
    parent, total = psutil.Process(server.process.pid), 0
    for each in (parent, *parent.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # a worker of its own that has just ended
            total += each.memory_full_info().pss
    return total / 2**20


@contextlib.contextmanager
def database(kind: str) -> Iterator[tuple[str, postgres.Postgres | None]]:
    if kind == "postgres":
        with postgres.running(durable=True) as server:
            yield server.empty(), server
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/records.db", None


if __name__ == "__main__":
    sys.exit(main())
