"""A real MLflow server on loopback; `from tests.servers.mlflow import mlflow_uri` gives a test the session's one."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.local import mlflow_server

START_DEADLINE = 120.0  # seconds; 3 on an idle machine


@dataclass(frozen=True)
class Server:
    """A running MLflow server."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path  # mlflow.db, artifacts/, log.txt


@contextmanager
def mlflow(folder: Path, port: int | None = None) -> Iterator[Server]:
    """A server with its state under `folder`; its process is gone afterwards, the folder stays."""
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + START_DEADLINE
    while True:
        server = _start(folder, port or free_port())
        try:
            if _ready(server, deadline):
                yield server
                return
        finally:
            server.process.terminate()
            try:
                server.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
        log = (folder / "log.txt").read_text()
        # Another test may have taken the port between our look and the server's bind: that alone is tried again.
        if port is not None or "address already in use" not in log:
            raise AssertionError(f"MLflow did not start within {START_DEADLINE:.0f} s:\n{log[-4000:]}")


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


_SHARED = pytest.StashKey[Server]()


@pytest.fixture(scope="session")
def mlflow_uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a server that all test modules of this session (of this xdist worker) share."""
    if _SHARED not in request.config.stash:
        stack = ExitStack()
        request.config.add_cleanup(stack.close)
        request.config.stash[_SHARED] = stack.enter_context(mlflow(tmp_path_factory.mktemp("mlflow")))
    return request.config.stash[_SHARED].url


def _start(folder: Path, port: int) -> Server:
    launch = mlflow_server.launch("127.0.0.1", port, folder)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(launch.argv, env={**os.environ, **launch.env}, stdout=log, stderr=log, cwd=folder)
    return Server(launch.url, process, folder)


def _ready(server: Server, deadline: float) -> bool:
    while time.monotonic() < deadline and server.process.poll() is None:
        if "Uvicorn running on" not in (server.folder / "log.txt").read_text():  # else another's might answer there
            time.sleep(0.05)
            continue
        try:
            if httpx.get(server.url + mlflow_server.READY, timeout=10).status_code == httpx.codes.OK:
                return True
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.05)
    return False
