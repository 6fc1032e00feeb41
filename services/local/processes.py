"""The programs under the supervisor: started at most once each, found again after the supervisor was killed.

Every child carries a mark in its environment (the state folder, its name, a digest of its command). The process table
itself is therefore the record of what runs: nothing can be started and not written down, and a supervisor that comes
after a killed one adopts what still fits and ends what does not.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

STATE = "SERINUS_SUPERVISED"
NAME = "SERINUS_CHILD"
DIGEST = "SERINUS_COMMAND"
_LOG_LIMIT = 20_000_000  # bytes; a log larger than this is begun anew when its program starts


@dataclass(frozen=True)
class Command:
    """How a child is started."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None

    @property
    def digest(self) -> str:
        """Two commands with the same digest start the same program in the same way."""
        text = "\0".join([*self.argv, *(f"{k}={v}" for k, v in sorted(self.env.items())), str(self.cwd)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Processes:
    """The children of one state folder."""

    def __init__(self, state: Path) -> None:
        self._state = str(state.resolve())
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._live: dict[str, psutil.Process] = {}
        self._digests: dict[str, str] = {}

    def adopt(self) -> dict[str, dict[str, str]]:
        """Take over the marked processes that a supervisor before us left; returns name -> its environment."""
        found: dict[str, dict[str, str]] = {}
        for process, environment in _marked(self._state):
            name = environment.get(NAME)
            # A child's own children inherit the mark; the child is the one whose parent has another name, or none.
            if name is None or name in self._live or _mark_of_parent(process, self._state) == name:
                continue
            self._live[name] = process
            self._digests[name] = environment.get(DIGEST, "")
            found[name] = environment
        return found

    def start(self, command: Command) -> bool:
        """Make sure that `command` runs; a process of the same name with another command is ended first.

        Returns whether a new process was started.
        """
        if self.alive(command.name):
            if self._digests[command.name] == command.digest:
                return False
            self.stop(command.name)
        command.log.parent.mkdir(parents=True, exist_ok=True)
        mode = "ab" if not command.log.exists() or command.log.stat().st_size < _LOG_LIMIT else "wb"
        marks = {STATE: self._state, NAME: command.name, DIGEST: command.digest}
        with command.log.open(mode) as log:
            popen = subprocess.Popen(
                list(command.argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **command.env, **marks},
                cwd=command.cwd,
                start_new_session=True,  # a Ctrl-C in the terminal is for the supervisor, which ends them in order
            )
        self._started[command.name] = popen
        self._live[command.name] = psutil.Process(popen.pid)
        self._digests[command.name] = command.digest
        return True

    def alive(self, name: str) -> bool:
        """Whether the child runs (a zombie does not)."""
        popen = self._started.get(name)
        if popen is not None:
            return popen.poll() is None
        process = self._live.get(name)
        if process is None:
            return False
        with suppress(psutil.NoSuchProcess):
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return False

    def pid(self, name: str) -> int | None:
        """The child's process id, None when it does not run."""
        return self._live[name].pid if self.alive(name) else None

    def names(self) -> tuple[str, ...]:
        """The children that run."""
        return tuple(name for name in self._live if self.alive(name))

    def signal_end(self, name: str) -> None:
        """Ask the child to end (SIGTERM) and return at once."""
        if self.alive(name):
            with suppress(psutil.NoSuchProcess):
                self._live[name].terminate()

    def stop(self, name: str, grace: float = 10.0) -> None:
        """End the child and all below it: SIGTERM, and SIGKILL after `grace` seconds."""
        process = self._live.pop(name, None)
        popen = self._started.pop(name, None)
        self._digests.pop(name, None)
        if process is None:
            return
        _end([process, *_below(process)], grace)
        if popen is not None:
            popen.wait()


def sweep(state: Path, grace: float = 10.0) -> int:
    """End every marked process of a state folder whose supervisor is gone; returns how many there were."""
    own = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    left = [process for process, _ in _marked(str(state.resolve())) if process.pid not in own]
    _end(left, grace)
    return len(left)


def _marked(state: str) -> list[tuple[psutil.Process, dict[str, str]]]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            if environment.get(STATE) == state and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, environment))
    return found


def _mark_of_parent(process: psutil.Process, state: str) -> str | None:
    with suppress(psutil.Error):
        parent = process.parent()
        if parent is not None:
            environment = parent.environ()
            return environment.get(NAME) if environment.get(STATE) == state else None
    return None


def _below(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _end(processes: list[psutil.Process], grace: float) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
