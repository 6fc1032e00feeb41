"""A runner for Kubeflow Pipelines and the stand-in for its backend, with a pipeline of one patient step.

The fixture `place` has both; tests/local/conftest.py makes it known there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serinus.adapters import kfp_client
from serinus.adapters import kfp_local_folder as folder
from serinus.adapters.kfp_api import KfpRunner
from serinus.adapters.kfp_client import KfpClient
from serinus.facts import RunRequest, RunState
from tests.servers import patience
from tests.standins.kfp.server import Server, serving

REQUESTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MLFLOW = "http://127.0.0.1:9"

# What the operator or the drift job does, in a process of its own: wait for the start, submit, say what counts.
SUBMIT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from serinus.adapters.kfp_api import KfpRunner
from serinus.adapters.kfp_client import connect
from serinus.facts import RunRequest
url, pipeline, code, key = sys.argv[1:]
connect(url)
runner = KfpRunner(url, Path(pipeline).read_text(), "http://127.0.0.1:9", folder=code)
print("ready", flush=True)
sys.stdin.readline()
print(runner.submit(RunRequest(key, "flights", "drift", datetime(2026, 1, 2, tzinfo=UTC), "{}")).key, flush=True)
"""


@dataclass
class Place:
    """A stand-in, and what a test does with it."""

    folder: Path  # kfp/ is the stand-in's, code/ that of the words that end runs
    server: Server
    words: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # what MLflow keeps
    pipeline: str = ""

    @property
    def code(self) -> Path:
        return self.folder / "code"

    @property
    def client(self) -> KfpClient:
        return kfp_client.connect(self.server.url)

    def runner(self, later: timedelta = timedelta(), **settings: Any) -> KfpRunner:
        """A runner whose clock is `later` than ours; settings are KfpRunner's."""

        def refuse(loop: str, key: str, step: str, reason: str) -> None:
            self.words[loop, key] = (step, reason)

        given = {"folder": str(self.code), "reason": lambda *of: self.words.get(of), "refuse": refuse, **settings}
        url, text = given.pop("url", self.server.url), given.pop("text", self.pipeline)
        return KfpRunner(url, text, MLFLOW, now=lambda: datetime.now(UTC) + later, **given)

    def runs(self) -> list[dict[str, Any]]:
        """Every run that the server has."""
        return self.client.runs()

    def by_hand(self, beside: str, **changes: Any) -> str:
        """Somebody makes a run like that with the key `beside`, but for the changes."""
        run = next(run for run in self.runs() if run["display_name"] == beside)
        kept = ("display_name", "experiment_id", "pipeline_version_reference", "runtime_config", "description")
        return str(self.client.create_run({**{name: run[name] for name in kept}, **changes})["run_id"])

    def calls(self, word: str) -> int:
        """How many requests had the word in their method and path."""
        return sum(word in call for call in self.server.calls)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    return patience.compiled(tmp_path_factory.mktemp("pipeline")).read_text()


@pytest.fixture
def place(tmp_path: Path, compiled: str) -> Iterator[Place]:
    (tmp_path / "code").mkdir()
    with serving(tmp_path / "kfp", accounts=frozenset({"trainer"})) as server:
        yield Place(tmp_path, server, pipeline=compiled)
    for run in (tmp_path / "kfp" / "runs").iterdir():
        folder.kill(run)


def asked(key: str, loop: str = "flights") -> RunRequest:
    return RunRequest(key, loop, "drift", REQUESTED, "{}")


def ended(runner: KfpRunner, key: str) -> RunState:
    state = patience.wait_for(lambda: runner.find(key), lambda run: run is not None and not run.active)
    assert state is not None
    return state


def questions(runner: KfpRunner) -> list[Callable[[], object]]:
    """Every verb of the port."""
    return [
        lambda: runner.submit(asked("flights-1")),
        lambda: runner.find("flights-1"),
        lambda: runner.active("flights"),
        lambda: runner.cancel("flights-1"),
    ]
