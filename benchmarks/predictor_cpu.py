"""CPU per request of our predictor against a bare kserve.ModelServer that holds the same model, side by side.

    .venv/bin/python -m benchmarks.predictor_cpu [--requests 3000] [--estimator hist-gradient-boosting]

Both serve one row per request over one kept-alive connection, in turns of 300 requests, so that whatever else the
machine does falls on both. The bare server gets its access and latency logs switched off, which it has on by default:
the comparison is the harder one for us. Exits 1 when the ratio is above --most.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

LOOP = "bench"
NUMERIC = [f"n{i}" for i in range(6)]
CATEGORICAL = ["c0", "c1"]


@dataclass
class Server:
    """A process that serves, and what its requests cost."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    cpu: float = 0.0
    requests: int = 0
    latencies: list[float] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000, help="to each server, in each protocol")
    parser.add_argument("--estimator", default="hist-gradient-boosting")
    parser.add_argument("--most", type=float, default=1.2)
    parser.add_argument("--bare", nargs=2, metavar=("DIR", "PORT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare:
        return bare(Path(args.bare[0]), int(args.bare[1]))
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "model"
        make(directory, args.estimator)
        servers = [ours(directory), theirs(directory)]
        try:
            for server in servers:
                wait(server)
            for protocol in ("v1", "v2"):
                worst = max(worst, compare(servers, protocol, args.requests))
        finally:
            for server in servers:
                server.process.terminate()
                server.process.wait()
    print(f"ratio {worst:.2f}, at most {args.most:g} wanted")
    return 0 if worst <= args.most else 1


def compare(servers: list[Server], protocol: str, requests: int) -> float:
    """The ratio of CPU per request, ours to theirs."""
    path, bodies = workload(protocol)
    for server in servers:
        server.cpu, server.requests, server.latencies = 0.0, 0, []
        ask(server, path, bodies, 100)
    for server in servers:
        server.cpu, server.requests, server.latencies = 0.0, 0, []
    for _ in range(max(1, requests // 300)):
        for server in servers:
            ask(server, path, bodies, 300)
    for server in servers:
        each = server.cpu / server.requests * 1e6
        middle = statistics.median(server.latencies) * 1e6
        late = statistics.quantiles(server.latencies, n=100)[98] * 1e6
        figures = f"{each:6.0f} us CPU a request; latency p50 {middle:6.0f} us, p99 {late:6.0f} us"
        print(f"{protocol} {server.name:<24} {figures}")
    first, second = (server.cpu / server.requests for server in servers)
    print(f"{protocol} ratio {first / second:.2f}")
    return first / second


def ask(server: Server, path: str, bodies: list[bytes], count: int) -> None:
    """Send `count` requests and add up what they cost."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    process = psutil.Process(server.process.pid)
    before = process.cpu_times()
    for body in itertools.islice(itertools.cycle(bodies), count):
        start = time.perf_counter()
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        server.latencies.append(time.perf_counter() - start)
        assert answer.status == 200, content
    after = process.cpu_times()
    connection.close()
    server.cpu += after.user + after.system - before.user - before.system
    server.requests += count


def workload(protocol: str) -> tuple[str, list[bytes]]:
    """The path and some bodies of one row."""
    import numpy as np

    rng = np.random.default_rng(0)
    rows = [
        {
            **{n: float(rng.normal()) for n in NUMERIC},
            **{c: str(rng.choice(["a", "b", "c", "d"])) for c in CATEGORICAL},
        }
        for _ in range(50)
    ]
    if protocol == "v1":
        return f"/v1/models/{LOOP}:predict", [json.dumps({"instances": [row]}).encode() for row in rows]
    return f"/v2/models/{LOOP}/infer", [
        json.dumps(
            {
                "inputs": [
                    {
                        "name": name,
                        "shape": [1],
                        "datatype": "BYTES" if name in CATEGORICAL else "FP64",
                        "data": [value],
                    }
                    for name, value in row.items()
                ]
            }
        ).encode()
        for row in rows
    ]


def make(directory: Path, estimator: str) -> None:
    """A model of 8 features, made from noise with a little sense in it."""
    import numpy as np
    import pandas as pd

    from serinus import artifact, models, sources
    from serinus.spec import ModelLoop

    rng = np.random.default_rng(1)
    rows = 5000
    frame = pd.DataFrame({n: rng.normal(size=rows) for n in NUMERIC})
    for name in CATEGORICAL:
        frame[name] = rng.choice(["a", "b", "c", "d"], rows)
    frame["y"] = np.where(frame["n0"] + (frame["c0"] == "a") + rng.normal(size=rows) > 0, "yes", "no")
    frame["t"] = pd.date_range("2026-01-01", periods=rows, freq="min", tz="UTC").astype("datetime64[us, UTC]")
    spec = ModelLoop.model_validate(
        {
            "metadata": {"name": LOOP},
            "spec": {
                "task": "binary-classification",
                "data": {
                    "source": {"files": {"uri": "x"}},
                    "time": "t",
                    "label": "y",
                    "features": {"numeric": NUMERIC, "categorical": CATEGORICAL},
                    "holdout": "12h",
                },
                "training": {"estimator": estimator},
                "validation": {"metric": "roc_auc"},
            },
        }
    )
    dataset = sources.snapshot(frame, "noise", "t", directory.parent / "data")
    artifact.save(directory, *models.fit(spec, frame, dataset, None))


def ours(directory: Path) -> Server:
    port = free_port()
    command = ["-m", "services.predictor", "--model-dir", str(directory), "--loop", LOOP, "--version", "1"]
    return Server("services.predictor", start([*command, "--port", str(port), "--drain", "0"]), port)


def theirs(directory: Path) -> Server:
    port = free_port()
    command = ["-m", "benchmarks.predictor_cpu", "--bare", str(directory), str(port)]
    return Server("bare kserve.ModelServer", start(command), port)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    limits = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **limits}
    )


def wait(server: Server, path: str = f"/v2/models/{LOOP}/ready") -> None:
    """Until it answers its readiness probe at `path`."""
    until = time.monotonic() + 120
    while time.monotonic() < until and server.process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass  # it does not listen yet
        finally:
            connection.close()
        time.sleep(0.05)
    raise RuntimeError(f"{server.name} did not become ready")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def bare(directory: Path, port: int) -> int:
    """What anybody would write with KServe's SDK: no checks, no counters."""
    sys.argv = sys.argv[:1]
    import logging

    import kserve
    import uvicorn
    from kserve.protocol.rest import server as rest

    from serinus import artifact, models
    from serinus.models.scoring import answer

    loaded = artifact.load(directory)

    class Bare(kserve.Model):  # type: ignore[misc]  # kserve has no types
        def predict(self, payload: Any, _headers: object = None) -> Any:
            v2 = isinstance(payload, kserve.InferRequest)
            rows = [{t.name: t.data[0] for t in payload.inputs}] if v2 else payload["instances"]
            answers = answer(loaded.contract, loaded.estimator, models.frame(loaded.contract, rows))
            if not v2:
                return {"predictions": answers.scores.tolist()}
            output = kserve.InferOutput("score", [1], "FP64", answers.scores)
            return kserve.InferResponse(payload.id or "1", self.name, [output])

    class Loopback(uvicorn.Config):
        """KServe can only bind every address; a benchmark has no business on the network."""

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, "127.0.0.1" if name == "host" else value)

    rest.uvicorn.Config = Loopback
    model = Bare(LOOP)
    model.ready = True
    server = kserve.ModelServer(http_port=port, enable_grpc=False, enable_latency_logging=False)
    logging.getLogger("uvicorn.access").handlers.clear()
    logging.getLogger("uvicorn.access").propagate = False
    server.start([model])
    return 0


if __name__ == "__main__":
    sys.exit(main())
