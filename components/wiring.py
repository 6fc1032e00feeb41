"""What the shells share: how a step says that it began and why it failed, and where the champion comes from.

No rule about data or models is here; those are in `serinus.steps` and `serinus.decide`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from serinus import usercode
from serinus.adapters import kfp_local_folder
from serinus.errors import Fatal, GateFailed, Retryable, SerinusError
from serinus.ports import ModelStore, Records

T = TypeVar("T")
PATIENCE = 60.0  # seconds to wait for a registry that is away: its restart takes 10
LAST_WORDS = 15.0  # seconds that a failing step may take to say why

log = logging.getLogger("serinus")


@contextlib.contextmanager
def step(name: str, loop: str, trigger: str, mlflow_uri: str) -> Iterator[Callable[[], ModelStore]]:
    """Run a step's body: it is seen to run, and if it fails, the reason is kept where it is found by `trigger`.

    Yields what opens the model store: doing so takes a second, and not every step needs it.
    """
    kfp_local_folder.begin_step(name)
    usercode.reachable(kfp_local_folder.code())  # for the record of what ran, too
    try:
        yield lambda: open_store(mlflow_uri)
    except Exception as error:
        reason = explain(error)
        log.error("%s: %s", name, reason)
        with contextlib.suppress(OSError):  # a full disk must not hide the reason itself
            kfp_local_folder.fail_step(name, reason)
        _tell(lambda: open_store(mlflow_uri).refuse(_name(loop), trigger, name, reason))
        raise


def open_store(mlflow_uri: str) -> ModelStore:
    """The model store of the loop."""
    from serinus.adapters.mlflow import MlflowRegistry

    return MlflowRegistry(mlflow_uri)


def open_records(loop: str) -> Records:
    """What production answered, as the collector that the environment names keeps it for the loop (as JSON).

    Raises Fatal where there is none.
    """
    from serinus.adapters.collector_api import CollectorClient

    url, token_path = os.environ.get("SERINUS_COLLECTOR_URL", ""), os.environ.get("SERINUS_COLLECTOR_TOKEN_PATH", "")
    if not url:
        raise Fatal("expected the collector's URL in SERINUS_COLLECTOR_URL, got nothing; is there a collector?")
    return CollectorClient(url, json.loads(loop)["metadata"].get("namespace") or "local", token_path)


@contextlib.contextmanager
def champion(loop: str, mlflow_uri: str) -> Iterator[Path | None]:
    """The directory of the version that serves everyone, for as long as the step runs; None when there is none yet."""
    store = open_store(mlflow_uri)
    name = _name(loop)
    version = patiently(lambda: store.find(name, "champion"))
    if version is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="champion-") as folder:
        number = version.number
        yield patiently(lambda: store.fetch(name, number, Path(folder) / "model"))


def require(gate: str, passed: str, subject: str) -> None:
    """A gate's output names what it let through; nothing else may go on.

    A runner that loses a container may take it for a success: a gate that did not speak has not passed.
    """
    if not subject or passed != subject:
        raise Fatal(f"{gate}: expected it to have let {subject!r} through, it said {passed!r}; start a new run")


def patiently(call: Callable[[], T], patience: float = PATIENCE) -> T:
    """Call again, ever more slowly, while the failure is one that time may heal. `call` has to be idempotent."""
    until, pause = time.monotonic() + patience, 0.25
    while True:
        try:
            return call()
        except Retryable as error:
            if time.monotonic() + pause > until:
                raise
            log.warning("%s; again in %s s", error, pause)
            time.sleep(pause)
            pause = min(2 * pause, 8.0)


def explain(error: Exception) -> str:
    """Why a step failed, for a person: our own errors were written for one, others are named."""
    if isinstance(error, GateFailed):
        return "; ".join(error.reasons) or str(error)
    if isinstance(error, SerinusError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def now() -> datetime:
    """The time of the step, which its body takes as an argument."""
    return datetime.now(UTC)


def _name(loop: str) -> str:
    name = json.loads(loop)["metadata"]["name"]
    if not isinstance(name, str):
        raise Fatal(f"metadata.name: expected a text, got {name!r}")
    return name


def _tell(refuse: Callable[[], None]) -> None:
    """Leave the reason with the registry, if it takes it in time: what matters is the failure, not its report."""

    def attempt() -> None:
        try:
            refuse()
        except Exception as error:
            log.warning("the reason could not be kept in the registry: %s", explain(error))

    thread = threading.Thread(target=attempt, daemon=True)  # a step that failed must not hang on its last words
    thread.start()
    thread.join(LAST_WORDS)
