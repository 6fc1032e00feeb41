"""500 ModelLoops at rest on a real API server: what the operator costs while nothing happens.

    KUBEBUILDER_ASSETS=... python -m benchmarks.operator_500 [--loops 500] [--minutes 6] [--python PYTHON]

MLflow is real; Kubeflow Pipelines is the tests' stand-in; KServe is played by objects that are made ready once. Every
loop has a champion that serves everyone. Measured is the operator's process alone, after every loop was looked at once:
processor, memory, its requests to the API server, looks, and the longest queue of looks. `make bench-operator` gives
it the packages of its image: the tests' environment has MLflow whole, which is 70 MiB more of memory than its client.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from serinus import loading, wire
from serinus.adapters.kube import MODEL_LOOPS
from serinus.facts import Routing, Status, Variant, VariantState
from serinus.render import names
from services.operator.wiring import ClusterWiring, Current
from services.platform import Platform
from tests.servers import operators
from tests.servers.kubernetes import api_server
from tests.servers.mlflow import mlflow
from tests.servers.training import Training, training

NAMESPACE = "team"
NOWHERE = "http://127.0.0.1:9"  # of Prometheus: a loop at rest asks it nothing
CORE, MEBIBYTES = 0.3, 300.0  # the most that the operator may take


def main() -> int:
    """Measure; 1 when it takes more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loops", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=6.0, help="more than the steady pace of five")
    parser.add_argument("--python", default=sys.executable, help="that the operator runs in")
    given = parser.parse_args()
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(api_server(folder / "kubernetes"))
        registry = stack.enter_context(mlflow(folder / "mlflow"))
        runs = stack.enter_context(training(folder / "kfp", registry.url))
        server.namespace(NAMESPACE)
        platform = Platform(registry.url, NOWHERE, runs.server.url, scrape_interval="30s")
        stage = stack.enter_context(operators.stage(server, platform, folder))
        stage.python = given.python
        return _measure(stage, runs, given.loops, given.minutes)


def _measure(stage: operators.Stage, runs: Training, count: int, minutes: float) -> int:
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda n: _settle(stage, runs, f"loop-{n:03d}"), range(count)):
            pass
    print(f"{count} loops with a champion each: {time.monotonic() - began:.0f} s to make")
    operator = stage.leading()
    process = psutil.Process(operator.process.pid)
    began = time.monotonic()
    stage.until(lambda: _rests(operator, count), "every loop was looked at", 900)
    first = process.cpu_times()
    print(f"every loop settled after {time.monotonic() - began:.0f} s, {first.user + first.system:.0f} s of processor")
    before, start = _figures(operator), time.monotonic()
    largest, queue = 0.0, 0.0
    while time.monotonic() - start < minutes * 60:
        time.sleep(5)
        largest = max(largest, process.memory_info().rss / 2**20)
        queue = max(queue, operator.metric("serinus_operator_queue") or 0)
    _looks(operator)
    took, after, last = time.monotonic() - start, _figures(operator), process.cpu_times()
    core = (last.user + last.system - first.user - first.system) / took
    print(f"over {took / 60:.1f} minutes: {core:.3f} of a core, {largest:.0f} MiB, queue at most {queue:.0f}")
    for name in sorted(after):
        print(f"  {name}: {(after[name] - before.get(name, 0)) / took:.2f} a second")
    return 0 if core <= CORE and largest <= MEBIBYTES else 1


def _settle(stage: operators.Stage, runs: Training, name: str) -> None:
    """A loop whose version 1 serves everyone, as an operator would have left it."""
    version = runs.publish(name)
    uid = stage.apply(NAMESPACE, name)["metadata"]["uid"]
    current = Current(uid, loading.of(operators.model_loop(name)))
    router = ClusterWiring(stage.platform, stage.kube, lambda *_: ()).ports(NAMESPACE, name, current).router
    wanted, played = Routing((Variant(version, 100),)), operators.KServe(stage.kube, NAMESPACE)
    router.apply(name, wanted)
    played.serve(names.variant(name, version))
    router.apply(name, wanted)
    played.route(name)
    assert router.observe(name).of(version) == VariantState(version, True, 100), f"{name} does not serve"
    status = replace(Status(name), champion=version, decided=version, last_scheduled=datetime.now(UTC))
    body = {"status": {"revision": 1, "memory": wire.dump(status).decode(), "history": []}}
    stage.kube.patch(MODEL_LOOPS, NAMESPACE, name, body, "status")


def _rests(operator: operators.Operator, count: int) -> bool:
    """Whether each loop was looked at, and nothing waits or is on its way."""
    before = _looks(operator)
    time.sleep(10)  # asking for the metrics is work for the operator, too
    if before < count:
        return False
    return _looks(operator) - before < max(count / 20, 1)


def _looks(operator: operators.Operator) -> float:
    """How many looks ended well; one that failed is not a look at a loop at rest."""
    figures = _figures(operator)
    if failed := sum(value for name, value in figures.items() if name.startswith("looks") and "failed" in name):
        raise SystemExit(f"{failed:.0f} looks failed, so these loops are not at rest:\n{operator.said[-3000:]}")
    return sum(value for name, value in figures.items() if name.startswith("looks"))


def _figures(operator: operators.Operator) -> dict[str, float]:
    found = {}
    for line in operator.get("/metrics").text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith(("serinus_operator_kube_requests_total", "serinus_operator_looks_total")):
            found[name.removeprefix("serinus_operator_")] = float(value)
    return found


if __name__ == "__main__":
    sys.exit(main())
