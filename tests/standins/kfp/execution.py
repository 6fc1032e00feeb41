"""Runs that really run: a folder and a child process each, with KFP's local runner in it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import yaml

from serinus import wire
from serinus.adapters import kfp_local_folder as folder
from serinus.facts import RunRequest, Why

_FOR_EVER = 30 * 24 * 3600.0  # the backend has no deadline of its own
_children: list[subprocess.Popen[bytes]] = []
_ending = threading.Lock()  # one thread at a time says how a run ended


def start(run: Path, pipeline: str, parameters: dict[str, object], created: datetime) -> None:
    """Run the pipeline (YAML) in the folder `run`; the process outlives this one."""
    (run / "tmp").mkdir(parents=True, exist_ok=True)
    (run / "pipeline.yaml").write_text(pipeline)
    given = {name: str(parameters.get(name, "")) for name in ("loop", "trigger", "mlflow_uri", "folder", "why")}
    why = wire.load(Why, given["why"].encode()) if given["why"] else None
    request = RunRequest(given["trigger"], "", "manual", created, given["loop"], why)
    job = folder.Job(request, created, _FOR_EVER, str(run / "pipeline.yaml"), given["mlflow_uri"], given["folder"])
    environment = {
        "OMP_WAIT_POLICY": "passive",
        **os.environ,
        **_told(pipeline),
        folder.VARIABLE: str(run),
        "KFP_POD_NAME": f"standin-{run.name}",  # as the launcher tells every step
        "KFP_POD_UID": run.name,
        "TMPDIR": str(run / "tmp"),
    }
    with folder.held(run / "lock") as lock, (run / "log.txt").open("wb") as log:
        assert lock is not None, f"{run} has run before"
        folder.put(run / "run.json", wire.dump(job))
        child = subprocess.Popen(
            [sys.executable, "-m", "serinus.adapters.kfp_local_child", str(run)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment, pass_fds=(lock,),
            start_new_session=True,
        )  # fmt: skip
    _children.append(child)


def _told(pipeline: str) -> dict[str, str]:
    """The variables of the steps' containers, which KFP's local runner leaves out; here all steps have the same."""
    executors = next(yaml.safe_load_all(pipeline))["deploymentSpec"]["executors"].values()
    return {each["name"]: each["value"] for made in executors for each in made["container"].get("env", ())}


def fail(run: Path) -> None:
    """A run that never starts, as with a service account that does not exist."""
    _failed(run)


def step(run: Path) -> str:
    """The step that runs, or ran last."""
    return folder.step(run)


def end(run: Path) -> folder.End | None:
    """How the run ended; a process that is gone without a word has failed."""
    _children[:] = [child for child in _children if child.poll() is None]  # leave no zombies
    ended = folder.end(run)
    if ended is None and (run / "run.json").exists():
        with folder.held(run / "lock") as lock:
            if lock is not None:
                _failed(run)
                ended = folder.end(run)
    return ended


def kill(run: Path) -> None:
    """End it some time soon, as Argo does."""

    def work() -> None:
        folder.kill(run)
        _failed(run)

    threading.Thread(target=work, daemon=True).start()


def _failed(run: Path) -> None:
    with _ending:
        folder.finish(run, folder.End("failed", datetime.now(UTC), folder.step(run)))
