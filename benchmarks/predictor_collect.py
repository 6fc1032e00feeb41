"""What handing answered rows to a collector costs the predictor: four of one model, side by side in one run.

    .venv/bin/python -m benchmarks.predictor_collect [--rounds 12] [--seconds 3] [--callers 4]

off: no collector. on: the real one, with SQLite. slow: one that answers after 3 s. dead: nobody listens. Each round
asks all four in an order of its own, one row a request over kept-alive connections; a figure is the median over the
rounds of its ratio to `off` in the same round, so that whatever else the machine does falls on all. Exits 1 when
throughput is lower by more than --most, or when a request failed.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import os
import random
import socket
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


@dataclass
class Slot:
    """What one predictor did in one round."""

    answers: int = 0
    failed: int = 0
    seconds: float = 0.0
    cpu: float = 0.0

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
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), args.estimator) as ways:
        path, bodies = workload("v1")
        for way in ways.values():
            asked(way.server, path, bodies, args.seconds, args.callers)  # warm
        for number in range(args.rounds):
            for name in random.Random(number).sample(WAYS, len(WAYS)):
                way = ways[name]
                way.slots.append(asked(way.server, path, bodies, args.seconds, args.callers))
            print(f"round {number + 1}: " + ", ".join(f"{n} {ways[n].slots[-1].rate:.0f}/s" for n in WAYS), flush=True)
        kept = {name: collected(way.server.port) for name, way in ways.items()}
    return 0 if told(ways, kept, args.most) else 1


def told(ways: dict[str, Way], kept: dict[str, dict[str, float]], most: float) -> bool:
    """Print the table; whether all is as it should be."""
    good = True
    for name, way in ways.items():
        answers, failed = sum(s.answers for s in way.slots), sum(s.failed for s in way.slots)
        pairs = list(zip(way.slots, ways["off"].slots, strict=True))
        rate = statistics.median(mine.rate / off.rate for mine, off in pairs)
        cost = statistics.median(mine.cost / off.cost for mine, off in pairs)
        good = good and failed == 0 and rate >= 1 - most
        print(
            f"{name:<5}{statistics.median(s.rate for s in way.slots):7.0f} requests/s ({rate:.3f} of off), "
            f"{statistics.median(s.cost for s in way.slots):5.0f} us CPU a request ({cost:.3f}), "
            f"{failed} of {answers} failed, {kept[name]}"
        )
    print(f"throughput at least {1 - most:g} of off and nothing failed: {'yes' if good else 'NO'}")
    return good


def asked(server: Server, path: str, bodies: list[bytes], seconds: float, callers: int) -> Slot:
    """Ask as fast as it answers for so long."""
    slot, lock = Slot(), threading.Lock()
    process = psutil.Process(server.process.pid)
    began, before = time.perf_counter(), process.cpu_times()

    def call(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        good = bad = 0
        for body in itertools.cycle(bodies[number:] + bodies[:number]):
            if time.perf_counter() - began > seconds:
                break
            try:
                connection.request("POST", path, body, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                good, bad = (good + 1, bad) if answer.status == 200 else (good, bad + 1)
            except (OSError, http.client.HTTPException):
                connection.close()
                bad += 1
        connection.close()
        with lock:
            slot.answers, slot.failed = slot.answers + good + bad, slot.failed + bad

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    slot.seconds, after = time.perf_counter() - began, process.cpu_times()
    slot.cpu = after.user + after.system - before.user - before.system
    return slot


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
def serving(folder: Path, estimator: str) -> Iterator[dict[str, Way]]:
    """The four predictors, ready."""
    make(folder / "model", estimator)
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(taking())
        slow.seconds = 3.0
        urls = {
            "on": stack.enter_context(collector(folder)),
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
        yield ways


@contextlib.contextmanager
def collector(folder: Path) -> Iterator[str]:
    """The real one."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.collector", "--port", str(port), "--drain", "0"],
        env={**os.environ, "SERINUS_DATABASE_URL": f"sqlite:///{folder / 'records.db'}"},
        stdout=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    break
            time.sleep(0.05)
        else:
            raise RuntimeError("the collector did not become ready")
        yield f"http://127.0.0.1:{port}"
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
