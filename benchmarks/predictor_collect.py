"""What handing answered rows to a collector costs the predictor: four of one model, side by side in one run.

    .venv/bin/python -m benchmarks.predictor_collect [--rounds 12] [--seconds 3] [--callers 4]

off: no collector. on: the real one, with SQLite. slow: one that answers after 3 s. dead: nobody listens. Each round
asks all four in an order of its own, one row a request over kept-alive connections; a figure is the median over the
rounds of its ratio to `off` in the same round, so that whatever else the machine does falls on all; its quartiles say
how much that was. Rows travel up to a second after their answer: each is asked for more than a second before it is
measured, so that every measured second has a second's rows, and what is left over falls on nobody's.

The collector's processor is what its process used while `on` was measured. All rows that `on` answered are looked for
in the database when it is over. Exits 1 when throughput is lower by more than --most, when a request failed, or when
rows of `on` are not there.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import os
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.predictor_cpu import LOOP, Server, free_port, make, start, wait, workload
from tests.servers.collecting import taking

WAYS = ("off", "on", "slow", "dead")
LEAD = 1.5  # seconds


@dataclass
class Slot:
    """What one predictor did in one round."""

    answers: int = 0
    failed: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    beside: float = 0.0  # CPU of the collector

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.answers / self.seconds

    @property
    def cost(self) -> float:
        """CPU of the predictor, microseconds a request."""
        return self.cpu / self.answers * 1e6


@dataclass
class Way:
    """A predictor and its rounds."""

    server: Server
    slots: list[Slot] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=3.0, help="that each predictor is asked in a round")
    parser.add_argument("--callers", type=int, default=4, help="connections")
    parser.add_argument(
        "--estimator", default="logistic-regression", help="the cheaper it is, the more a collector shows"
    )
    parser.add_argument("--most", type=float, default=0.05, help="loss of throughput that is borne")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), args.estimator) as (ways, beside):
        path, bodies = workload("v1")
        seconds, callers, answered = args.seconds, args.callers, 0
        for number in range(args.rounds + 1):
            for name in random.Random(number).sample(WAYS, len(WAYS)):
                slot, total = asked(ways[name].server, path, bodies, seconds, callers, beside.pid)
                ways[name].slots.append(slot)
                answered += total if name == "on" else 0
            said = ", ".join(f"{n} {ways[n].slots[-1].rate:.0f}/s" for n in WAYS)
            print(f"round {number}: {said}{'' if number else ' (warm-up, does not count)'}", flush=True)
        for way in ways.values():
            del way.slots[0]
        found = held(ways["on"].server.port, Path(folder), answered)
        kept = {name: collected(way.server.port) for name, way in ways.items()}
    print(f"on: {answered} rows answered in all, {found} of them in the database")
    return 0 if told(ways, kept, args.most) and found == answered else 1


def told(ways: dict[str, Way], kept: dict[str, dict[str, float]], most: float) -> bool:
    """Print the table; whether all is as it should be."""
    good = True
    for name, way in ways.items():
        answers, failed = sum(s.answers for s in way.slots), sum(s.failed for s in way.slots)
        pairs = list(zip(way.slots, ways["off"].slots, strict=True))
        rates = [mine.rate / off.rate for mine, off in pairs]
        low, rate, high = statistics.quantiles(rates, n=4) if len(rates) > 1 else rates * 3
        cost = statistics.median(mine.cost / off.cost for mine, off in pairs)
        good = good and failed == 0 and rate >= 1 - most
        print(
            f"{name:<5}{statistics.median(s.rate for s in way.slots):7.0f} requests/s ({rate:.3f} of off, quartiles "
            f"{low:.3f} and {high:.3f}), {statistics.median(s.cost for s in way.slots):5.0f} us CPU a request "
            f"({cost:.3f}), {failed} of {answers} failed, {kept[name]}"
        )
    beside = statistics.median(s.beside / s.answers for s in ways["on"].slots) * 1e6
    print(f"the collector beside `on`: {beside:.1f} us CPU a row")
    print(f"throughput at least {1 - most:g} of off and nothing failed: {'yes' if good else 'NO'}")
    return good


def asked(
    server: Server, path: str, bodies: list[bytes], seconds: float, callers: int, beside: int
) -> tuple[Slot, int]:
    """Ask as fast as it answers for so long, after LEAD seconds of the same; (what that was, answers in all)."""
    slot, lock, total = Slot(), threading.Lock(), 0
    processes = [psutil.Process(server.process.pid), psutil.Process(beside)]
    begin = time.perf_counter() + LEAD
    end = begin + seconds

    def call(number: int) -> None:
        nonlocal total
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before = good = bad = 0
        for body in itertools.cycle(bodies[number:] + bodies[:number]):
            try:
                connection.request("POST", path, body, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                fine = answer.status == 200
            except (OSError, http.client.HTTPException):
                connection.close()
                fine = False
            now = time.perf_counter()
            if now > end:  # begun before, answered too late to count as a rate; the row is there all the same
                before, bad = before + fine, bad + (not fine)
                break
            if fine and now < begin:
                before += 1
            else:
                good, bad = good + fine, bad + (not fine)
        connection.close()
        with lock:
            slot.answers, slot.failed, total = slot.answers + good, slot.failed + bad, total + good + before

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    times = []
    for moment in (begin, end):
        time.sleep(max(0.0, moment - time.perf_counter()))
        times.append([sum(process.cpu_times()[:2]) for process in processes])
    for thread in threads:
        thread.join()
    slot.seconds = seconds
    slot.cpu, slot.beside = (after - before for before, after in zip(*times, strict=True))
    return slot, total


def held(port: int, folder: Path, wanted: int) -> int:
    """Rows in the collector's database, once all that were answered are there or no more come."""
    until = time.monotonic() + 30
    while True:
        with contextlib.closing(sqlite3.connect(f"file:{folder / 'records.db'}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute("SELECT count(*) FROM predictions").fetchone()
        if found >= wanted or collected(port)["waiting"] == 0 or time.monotonic() > until:
            return int(found)
        time.sleep(0.1)


def collected(port: int) -> dict[str, float]:
    """What the predictor says of its rows: sent, dropped, waiting."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    found = {"sent": 0.0, "dropped": 0.0, "waiting": 0.0}
    words = {"serinus_collect_sent_total": "sent", "serinus_collect_dropped_total": "dropped"}
    for line in connection.getresponse().read().decode().splitlines():
        if line.startswith("serinus_collect_"):
            found[words.get(line.partition("{")[0], "waiting")] += float(line.rpartition(" ")[2])
    connection.close()
    return found


@contextlib.contextmanager
def serving(folder: Path, estimator: str) -> Iterator[tuple[dict[str, Way], subprocess.Popen[bytes]]]:
    """The four predictors, ready; and the collector."""
    make(folder / "model", estimator)
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(taking())
        slow.seconds = 3.0
        url, beside = stack.enter_context(collector(folder))
        urls = {
            "on": url,
            "slow": slow.url,
            "dead": f"http://127.0.0.1:{free_port()}",
        }
        ways = {}
        for name in WAYS:
            port = free_port()
            words = ["-m", "services.predictor", "--model-dir", str(folder / "model"), "--loop", LOOP, "--version", "1"]
            words += ["--collector", urls[name]] if name in urls else []
            process = start([*words, "--port", str(port), "--drain", "0"])
            stack.callback(_end, process)
            ways[name] = Way(Server(name, process, port))
            wait(ways[name].server)
        yield ways, beside


@contextlib.contextmanager
def collector(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The real one."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.collector", "--port", str(port), "--drain", "0"],
        env={**os.environ, "SERINUS_DATABASE_URL": f"sqlite:///{folder / 'records.db'}"},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait(Server("the collector", process, port), "/readyz")
        yield f"http://127.0.0.1:{port}", process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
