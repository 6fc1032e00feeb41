"""The drift job as a process, over a real Prometheus, MLflow, ledger and runner."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, start_http_server

from serinus import wire
from serinus.adapters.file_ledger import FileLedger
from serinus.adapters.kfp_local import LocalRunner
from serinus.adapters.mlflow import MlflowRegistry
from serinus.facts import Status
from services.drift import counts, job
from services.predictor.metrics import counters
from tests import data_sets
from tests.drift_cases import Trained, finding, told, train
from tests.servers.mlflow import mlflow_uri  # noqa: F401
from tests.servers.prometheus import prometheus, until

pytestmark = pytest.mark.xdist_group("mlflow")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("trained"))


@dataclass(frozen=True)
class Laptop:
    """A state folder with a champion that serves, and the arguments of the job."""

    loop: str
    state: Path
    arguments: tuple[str, ...]

    def drift(self, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.drift", *self.arguments, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def laptop(trained: Trained, tmp_path: Path, mlflow_uri: str) -> Iterator[Laptop]:  # noqa: F811
    """Prometheus scrapes a predictor's counters after 1,000 rows whose weight moved; the second window of its kind."""
    spec = trained.spec.model_copy(update={"metadata": trained.spec.metadata.model_copy(update={"name": "drift-job"})})
    contract = replace(trained.contract, loop=spec.name)
    file, state = tmp_path / "loop.yaml", tmp_path / "state"
    file.write_text(spec.model_dump_json(by_alias=True, exclude_none=True))
    version = MlflowRegistry(mlflow_uri).register(spec.name, "first", trained.directory, {}, {}).number
    before = finding(datetime.now(UTC) - timedelta(hours=1), version=version)
    ledger = FileLedger(state / "ledger")
    ledger.write(spec.name, Status(spec.name, champion=version, drift=(before,)), [], 0)

    registry = CollectorRegistry()
    children = counters(contract, str(version), 0.25, registry)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    with prometheus(tmp_path / "prometheus", scrape="200ms") as scraper:
        scraper.watch(f"127.0.0.1:{server.server_address[1]}")
        until(lambda: scored(scraper.url, spec.name) == 0, "the counters are scraped")
        for name, told_labels, count in told(contract, 1000, "weight"):
            bin_ = told_labels["bin"]
            if name == counts.FEATURES:
                children.features[told_labels["feature"]][bin_].inc(count)
            else:
                children.score[list(contract.profile.score.labels()).index(bin_)].inc(count)
        until(lambda: scored(scraper.url, spec.name) == 1000, "the rows are scraped")
        yield Laptop(
            spec.name,
            state,
            ("--loop-file", str(file), "--state", str(state), "--prometheus", scraper.url, "--mlflow", mlflow_uri),
        )
    server.shutdown()
    server.server_close()
    thread.join(10)


def scored(url: str, loop: str) -> float | None:
    """What the score's counters say now; None while Prometheus has not seen them."""
    query = f'sum(serinus_score_bin_total{{loop="{loop}"}})'
    found = httpx.get(f"{url}/api/v1/query", params={"query": query}).json()["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def test_the_process_looks_once_says_what_it_found_and_asks_for_a_run(laptop: Laptop, mlflow_uri: str) -> None:  # noqa: F811
    ended = laptop.drift("--json")
    try:
        assert (ended.returncode, ended.stderr) == (0, "")
        look = wire.load(job.Look, ended.stdout.encode())
        assert look.finding.verdict.outcome == "fail", look.finding.verdict.reason
        assert [f.name for f in look.finding.features if f.drifted] == ["weight"]
        assert (look.finding.rows, bool(look.ask)) == (1000, True)
        assert look.run is not None
        assert look.run.cause == "drift"
        (request,) = FileLedger(laptop.state / "ledger").read(laptop.loop).requests
        assert (request.finding, request.run) == (look.finding, look.run.key)
    finally:
        runner = LocalRunner(laptop.state / "runs", Path("nowhere"), mlflow_uri, laptop.state)
        for run in runner.active(laptop.loop):
            runner.cancel(run.key)


def test_the_process_says_by_its_exit_code_that_it_could_not_look(laptop: Laptop) -> None:
    ended = laptop.drift("--prometheus", "http://127.0.0.1:1")
    assert ended.returncode == 1
    assert ended.stdout.startswith("error: cannot read counters from Prometheus at http://127.0.0.1:1")
    (request,) = FileLedger(laptop.state / "ledger").read(laptop.loop).requests
    assert request.finding is not None
    assert request.finding.verdict.outcome == "error"


def test_the_process_says_what_is_wrong_with_its_file_and_its_state(tmp_path: Path) -> None:
    arguments = ("--loop-file", str(tmp_path / "none.yaml"), "--state", str(tmp_path))
    ended = Laptop("none", tmp_path, arguments).drift()
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no such file" in ended.stderr
    spec, _ = data_sets.binary()
    (tmp_path / "none.yaml").write_text(json.dumps(spec.model_dump(by_alias=True, exclude_none=True, mode="json")))
    ended = Laptop("none", tmp_path, arguments).drift()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no loop yet" in ended.stderr
