"""A whole loop for tests: `serinus up` as a process, on free ports, over made-up data in a folder of its own.

Most tests do not need the pipeline to have a model: `furnished` gives a loop whose MLflow has a first version already,
and `Loop.register` adds a canary in a fraction of a second, as a pipeline's last step would.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import pandas as pd
import psutil
import yaml

from serinus import artifact, models, sources
from serinus.adapters.file_ledger import FileLedger
from serinus.adapters.mlflow import MlflowRegistry
from serinus.facts import Event, Request, Status, Version
from serinus.spec import ModelLoop
from services.local import addresses, processes
from services.local.addresses import Addresses
from tests import data_sets
from tests.servers.mlflow import mlflow
from tests.servers.watched import Watched

FAST: dict[str, Any] = {
    "training": {"estimator": "logistic-regression"},
    "rollout": {
        "steps": [20, 50],
        "minRequests": 20,
        "stepTimeout": "60s",
        "watch": "2s",
        "guardrails": {
            "errors": {"margin": 0.1},
            "rejections": None,
            "latency": None,
            "slowdown": None,
            "scores": None,
        },
    },
    "drift": None,
}
"""Parts of a spec under which a rollout takes seconds; whether answers are fast is not these tests' question."""


class Loop(Watched):
    """A folder as a user would have it: a ModelLoop, data, a state folder; and its supervisor, while it is up."""

    def __init__(self, folder: Path, spec: ModelLoop, frame: pd.DataFrame | None = None) -> None:
        self.folder, self.code, self.state = folder, folder / "code", folder / "state"
        self.name, self.spec = spec.name, spec
        self.file = self.code / "loop.yaml"
        self.log = folder / "up.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.ledger = FileLedger(self.state / "ledger")
        self.code.mkdir(parents=True)
        if frame is not None:
            (self.code / "data").mkdir()
            frame.to_parquet(self.code / "data" / "rows.parquet")
        self.write(spec)
        # Defaults are for people; several tests run loops at the same time.
        taken: set[int] = set()
        for _ in addresses.DEFAULTS:
            taken.add(addresses.free_port(taken))
        self.state.mkdir()
        (self.state / "ports.json").write_text(json.dumps(dict(zip(addresses.DEFAULTS, sorted(taken), strict=True))))

    # --- the supervisor's life -----------------------------------------------------------------------------------

    def up(self, *words: str) -> None:
        """`serinus up`, until it says that it is ready."""
        process = self.begin(*words)
        ready = self.state / "ready"

        def is_up() -> bool:
            assert process.poll() is None, self.log.read_text()
            return ready.exists() and ready.read_text() == str(process.pid)

        self.until(is_up, "the loop is up", 120)

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """`serinus up`, not waited for."""
        command = _serinus("up", "code/loop.yaml", *words)  # paths as people type them
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        threading.Thread(target=self.process.wait, daemon=True).start()  # as a shell does: leave no zombie
        return self.process

    def kill(self, name: str = "supervisor") -> None:
        """kill -9 of the supervisor or of one of its children."""
        if name == "supervisor":
            assert self.process is not None
            self.process.kill()
            self.process.wait()
            return
        process = psutil.Process(self.pids()[name])
        process.kill()
        self.until(lambda: not _runs(process), f"{name} is dead", 10)

    def signal(self, number: int) -> int:
        """Send the supervisor a signal; its exit code once it has ended."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def serinus(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the command line, about this loop."""
        return subprocess.run(
            _serinus(*words), capture_output=True, text=True, timeout=120, cwd=self.folder, check=False
        )

    def end(self) -> None:
        """Whatever the test came to: nothing of this loop is left."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
            self.process.kill()
            self.process.wait()
        processes.sweep(self.state, grace=2.0)

    # --- what it does --------------------------------------------------------------------------------------------

    @property
    def addresses(self) -> Addresses:
        found = addresses.load(self.state / "ports.json")
        assert found is not None
        return found

    @property
    def registry(self) -> MlflowRegistry:
        return MlflowRegistry(self.addresses.url("mlflow"))

    @property
    def status(self) -> Status:
        return self.ledger.read(self.name).status

    def events(self, *kinds: str) -> list[Event]:
        """What happened, oldest first; of these kinds."""
        return [event for event in self.ledger.events(self.name, 10_000) if not kinds or event.kind in kinds]

    def details(self) -> list[str]:
        """The end of the supervisor's log."""
        return ["--- up.log", *self.log.read_text().splitlines()[-40:]]

    def ask(
        self, kind: Literal["run", "approve", "reject", "rollback"], version: int | None = None, reason: str = ""
    ) -> Request:
        """Ask something of the loop, and wait until it has taken that up."""
        request = Request(uuid.uuid4().hex, kind, datetime.now(UTC), "ann", version, reason)
        self.ledger.ask(self.name, request)
        self.until(lambda: request.id in self.status.handled, f"the {kind} is taken up", 30)
        return request

    def predict(self, rows: list[dict[str, Any]], path: str = "") -> httpx.Response:
        """The endpoint's answer."""
        url = self.addresses.url("envoy") + (path or f"/v1/models/{self.name}:predict")
        return httpx.post(url, json={"instances": rows}, timeout=30, trust_env=False)

    def pids(self) -> dict[str, int]:
        """The children that run: name -> process id."""
        marked = processes._marked(self.state.resolve())  # their environment with them: one may end meanwhile
        return {environment[processes.NAME]: p.pid for p, environment in marked if processes.NAME in environment}

    def family(self) -> list[psutil.Process]:
        """Every process that belongs to this loop, the supervisor excepted."""
        return [p for p, _ in processes._marked(self.state.resolve())]

    def weights(self) -> dict[int, int]:
        """The shares that Envoy routes by now."""
        dump = httpx.get(self.addresses.url("admin") + "/config_dump", timeout=5, trust_env=False).json()
        found = {}
        for config in dump["configs"]:
            for dynamic in config.get("dynamic_route_configs", []):
                for host in dynamic["route_config"].get("virtual_hosts", []):
                    for route in host["routes"]:
                        for part in route.get("route", {}).get("weighted_clusters", {}).get("clusters", []):
                            found[int(part["name"].rpartition("-v")[2])] = int(part["weight"])
        return found

    # --- what a person or a pipeline does ------------------------------------------------------------------------

    def write(self, spec: ModelLoop) -> None:
        """Edit the file, as an editor does: whole or not at all."""
        self.spec = spec
        self.write_text(yaml.safe_dump(document(spec)))

    def write_text(self, text: str) -> None:
        temporary = self.file.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(self.file)

    def edit(self, **parts: Any) -> None:
        """Replace whole parts of `spec`: `rollout={...}`."""
        edited = document(self.spec)
        edited["spec"].update(parts)
        self.write(ModelLoop.model_validate(edited))

    def rows(self, count: int = 16) -> list[dict[str, Any]]:
        """Rows that the loop's model can answer."""
        return rows_of(self.spec, pd.read_parquet(self.code / "data" / "rows.parquet"), count)

    def register(self, **training: Any) -> int:
        """A new version, as a pipeline's last step makes it: trained on the loop's data by its spec's training part,
        or by another."""
        edited = document(self.spec)
        edited["spec"]["training"] = training or edited["spec"]["training"]
        return register(ModelLoop.model_validate(edited), self.code, self.registry).number


def document(spec: ModelLoop) -> dict[str, Any]:
    """The ModelLoop as its file says it."""
    head = {"apiVersion": spec.api_version, "kind": spec.kind}
    return {**head, **spec.model_dump(mode="json", by_alias=True, exclude_unset=True)}


def register(spec: ModelLoop, code: Path, store: MlflowRegistry) -> Version:
    """Train on the data beside the spec and register the model."""
    key = f"{spec.name}-manual-{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        folder = code.parent / key
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        frame = sources.read(spec, code, data_sets.END)
        dataset = sources.snapshot(frame, "made up", spec.spec.data.time, folder / "dataset")
        frame, dataset = sources.open_snapshot(folder / "dataset")
        estimator, contract = models.fit(spec, frame, dataset, code)
        artifact.save(folder / "model", estimator, contract)
        return store.register(spec.name, key, folder / "model", {}, {"roc_auc": 0.8})


def rows_of(spec: ModelLoop, frame: pd.DataFrame, count: int) -> list[dict[str, Any]]:
    """The first `count` rows of the frame as callers send them."""
    features = spec.spec.data.features
    names = [*features.numeric, *features.categorical]
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in frame[names].head(count).to_dict(orient="records")
    ]


def parcels(rows: int = 1200, **spec: Any) -> tuple[ModelLoop, pd.DataFrame]:
    """The data set and spec of `furnished`."""
    return data_sets.binary(rows, **{**FAST, **spec})


@contextlib.contextmanager
def bare(folder: Path, spec: ModelLoop, frame: pd.DataFrame | None = None) -> Iterator[Loop]:
    """A loop that was never up."""
    loop = Loop(folder, spec, frame)
    try:
        yield loop
    finally:
        loop.end()


@contextlib.contextmanager
def furnished(folder: Path, **spec: Any) -> Iterator[Loop]:
    """A loop that was never up, of parcels, whose registry has version 1; `spec` as in `parcels`.

    The MLflow with it is made once and copied from then on; `folder` is below pytest's.
    """
    model_loop, frame = parcels(**spec)
    with bare(folder, model_loop, frame) as loop:
        shutil.copytree(_furniture(folder), loop.state / "mlflow")
        yield loop


def _furniture(folder: Path) -> Path:
    """MLflow's folder with version 1 of parcels in it; the first of pytest's workers to come makes it."""
    session = next(p for p in folder.parents if p.name.startswith(("pytest-", "popen-")))
    session = session.parent if session.name.startswith("popen-") else session
    ready = session / "furniture"
    with (session / "furniture.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            spec, frame = parcels()
            workshop = Loop(session / "workshop", spec, frame)
            with mlflow(session / "workshop" / "mlflow") as server:
                register(spec, workshop.code, MlflowRegistry(server.url))
            (session / "workshop" / "mlflow" / "log.txt").unlink()
            (session / "workshop" / "mlflow").rename(ready)
    return ready


def _serinus(*words: str) -> list[str]:
    return [sys.executable, "-m", "services.cli.main", *words, "--state", "state"]


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
