"""A real Envoy on free loopback ports, and real predictors of few words behind it; each ends what it started."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serinus.adapters import envoy as adapter
from serinus.adapters.envoy import ServerState
from services.local import programs

ANSWERING = Path(__file__).with_name("answering.py")


def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait until `condition` holds; fail the test, naming `what`, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: str = "/") -> bool:
    """Whether somebody answers 200 there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass
class Envoy:
    """An Envoy process; `start` brings it back on the same ports and files after it was killed."""

    folder: Path
    loop: str = "flights"
    port: int = 0
    admin_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    def start(self) -> None:
        bootstrap = adapter.prepare(self.folder, self.loop, self.port, self.admin_port)
        arguments = adapter.command(programs.envoy(), bootstrap)
        with (self.folder.parent / "envoy.log").open("ab") as log:
            process = subprocess.Popen(arguments, stdout=log, stderr=log)
        self.process = process
        until(lambda: process.poll() is not None or answers(self.admin_port, "/ready"), "Envoy is ready")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def envoy(folder: Path) -> Iterator[Envoy]:
    """A running Envoy whose files are in `folder`."""
    running = Envoy(folder)
    try:
        for _ in range(5):  # another test may take a free port before Envoy does
            running.port, running.admin_port = free_port(), free_port()
            running.start()
            if running.process is not None and running.process.poll() is None:
                break
        else:
            raise AssertionError((folder.parent / "envoy.log").read_text())
        yield running
    finally:
        running.stop()


@dataclass
class Predictors:
    """`adapters.envoy.Servers` by processes that answer with their version; it restarts nothing by itself."""

    processes: dict[int, tuple[subprocess.Popen[bytes], int]] = field(default_factory=dict)
    restarts: dict[int, int] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)  # versions that run but never get ready
    ended: list[subprocess.Popen[bytes]] = field(default_factory=list)  # asked to end

    def want(self, versions: Collection[int]) -> None:
        for version in set(versions) - self.processes.keys():
            self.start(version)
        for version in self.processes.keys() - set(versions):
            process, _ = self.processes.pop(version)
            process.terminate()
            self.ended.append(process)

    def state(self) -> Mapping[int, ServerState]:
        states = {}
        for version, (process, port) in self.processes.items():
            alive = process.poll() is None
            ready = alive and version not in self.broken and answers(port)
            message = "" if ready else "gets ready" if alive else f"ended with {process.returncode}"
            states[version] = ServerState(port, ready, message, self.restarts.get(version, 0))
        return states

    def start(self, version: int) -> None:
        """Start the version on a new port; an older process of it goes on until somebody ends it."""
        port = free_port()
        arguments = [sys.executable, "-S", str(ANSWERING), str(port), str(version)]
        if version in self.processes:
            self.restarts[version] = self.restarts.get(version, 0) + 1
            self.ended.append(self.processes[version][0])
        self.processes[version] = (subprocess.Popen(arguments, stderr=subprocess.DEVNULL), port)

    def kill(self, version: int) -> None:
        process, _ = self.processes[version]
        process.kill()
        process.wait()

    def asked(self, version: int, what: str = "requests") -> int:
        """How many predictions the version's process was asked for; `copies`: how many of these were copies."""
        import json

        connection = http.client.HTTPConnection("127.0.0.1", self.processes[version][1], timeout=5)
        connection.request("GET", "/count")
        requests = int(json.loads(connection.getresponse().read())[what])
        connection.close()
        return requests

    def stop(self) -> None:
        for process in [*(p for p, _ in self.processes.values()), *self.ended]:
            process.kill()
            process.wait()


@contextlib.contextmanager
def predictors() -> Iterator[Predictors]:
    """Servers for an EnvoyRouter, all ended at the end."""
    running = Predictors()
    try:
        yield running
    finally:
        running.stop()
