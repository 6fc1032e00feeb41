"""The programs under the supervisor: started at most once each, found again after the supervisor was killed.

Every child carries a mark in its environment (the state folder, its name, a digest of its command). The process table
itself is therefore the record of what runs: nothing can be started and not written down, and a supervisor that comes
after a killed one adopts what still fits and ends what does not.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from serinus.adapters import kfp_local_folder

STATE = "SERINUS_SUPERVISED"
NAME = "SERINUS_CHILD"
DIGEST = "SERINUS_COMMAND"
_LOG_LIMIT = 20_000_000  # bytes; a log larger than this is begun anew when its program starts
_PAUSES = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds from the n-th start in a row to the next one
_WELL = 60.0  # seconds of life after which earlier deaths are forgotten


@dataclass(frozen=True)
class Command:
    """How a child is started."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    reads: Sequence[Path] = ()  # configuration that it reads when it starts

    @property
    def digest(self) -> str:
        """Two commands with the same digest start the same program in the same way."""
        parts = [*self.argv, *(f"{k}={v}" for k, v in sorted(self.env.items())), str(self.cwd)]
        whole = hashlib.sha256("\0".join(parts).encode())
        for file in self.reads:
            whole.update(file.read_bytes())
        return whole.hexdigest()[:16]


@dataclass(frozen=True)
class Pace:
    """How fast a child that keeps dying is started again: at once, then after 1, 2, 5, 10, 30 seconds."""

    starts: int = 0  # in a row
    latest: float = 0.0  # seconds of a monotonic clock

    def due(self, now: float) -> bool:
        """Whether it may be started at `now`."""
        return now >= self.latest + _PAUSES[min(self.starts, len(_PAUSES) - 1)] or self._well(now)

    def started(self, now: float) -> Pace:
        """The pace after a start at `now`."""
        return Pace(1 if self._well(now) else self.starts + 1, now)

    def _well(self, now: float) -> bool:
        return now - self.latest >= _WELL


class Processes:
    """The children of one state folder."""

    def __init__(self, state: Path) -> None:
        self._state = str(state.resolve())
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._live: dict[str, psutil.Process] = {}
        self._digests: dict[str, str] = {}
        self._logs: dict[str, tuple[Path, int]] = {}  # and how long it was when the child began

    def adopt(self) -> dict[str, dict[str, str]]:
        """Take over the marked processes that a supervisor before us left; returns name -> its environment."""
        found: dict[str, dict[str, str]] = {}
        doubles: list[psutil.Process] = []
        for process, environment in _marked(Path(self._state)):
            name = environment.get(NAME)
            # A child's own children inherit the mark; the child is the one whose parent has another name, or none.
            if name is None or _name_of_parent(process, self._state) == name:
                continue
            if name in self._live:
                doubles += [process, *_below(process)]
                continue
            self._live[name] = process
            self._digests[name] = environment.get(DIGEST, "")
            found[name] = environment
        _end(doubles, grace=5.0)
        return found

    def start(self, command: Command) -> bool:
        """Make sure that `command` runs; a process of the same name with another command is ended first.

        Returns whether a new process was started. Raises OSError when it cannot be.
        """
        if self.alive(command.name):
            if self._digests[command.name] == command.digest:
                return False
            self.stop(command.name)
        command.log.parent.mkdir(parents=True, exist_ok=True)
        mode = "ab" if not command.log.exists() or command.log.stat().st_size < _LOG_LIMIT else "wb"
        marks = {STATE: self._state, NAME: command.name, DIGEST: command.digest}
        with command.log.open(mode) as log:
            begin = log.tell()
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
        self._logs[command.name] = (command.log, begin)
        return True

    def alive(self, name: str) -> bool:
        """Whether the child runs (a zombie does not)."""
        popen = self._started.get(name)
        if popen is not None:
            return popen.poll() is None
        process = self._live.get(name)
        return process is not None and _runs(process)

    def pid(self, name: str) -> int | None:
        """The child's process id, None when it does not run."""
        process = self._live.get(name)  # another thread may end it at any moment
        return process.pid if process is not None and self.alive(name) else None

    def code(self, name: str) -> int | None:
        """The exit code of a child that runs no more, negative for a signal; None when nobody knows it."""
        popen = self._started.get(name)
        return popen.poll() if popen is not None else None

    def names(self) -> tuple[str, ...]:
        """The children that run."""
        return tuple(name for name in list(self._live) if self.alive(name))

    def obituary(self, name: str) -> str:
        """How a child that runs no more ended, and its last words: `exit code 1: predictor: …`."""
        popen = self._started.get(name)
        code = popen.poll() if popen is not None else None
        how = "while nobody watched" if code is None else f"exit code {code}" if code >= 0 else _signal(-code)
        words = _last_line(*self._logs[name]) if name in self._logs else ""
        return f"{how}: {words}" if words else how

    def signal_end(self, name: str, number: int = signal.SIGTERM) -> None:
        """Ask the child to end (SIGTERM), or make it (SIGKILL), and return at once."""
        process = self._live.get(name)
        if process is not None and self.alive(name):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def stop(self, name: str, grace: float = 10.0) -> None:
        """End the child and all below it: SIGTERM, and SIGKILL after `grace` seconds."""
        process = self._live.pop(name, None)
        popen = self._started.pop(name, None)
        self._digests.pop(name, None)
        self._logs.pop(name, None)
        if process is None:
            return
        _end([process, *_below(process)], grace)
        if popen is not None:
            popen.poll()  # leave no zombie


def sweep(state: Path, grace: float = 10.0) -> int:
    """End every process that belongs to a state folder whose supervisor is gone; returns how many there were."""
    own = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    count = 0
    for _ in range(3):  # again: one of them may have started another in between
        left = [process for process, _ in _marked(state.resolve()) if process.pid not in own]
        if not left:
            break
        count += len(left)
        _end(left, grace)
    return count


def _marked(state: Path) -> list[tuple[psutil.Process, dict[str, str]]]:
    """The processes with the mark, and those of pipeline runs, which others than the supervisor may have started."""
    runs = f"{state / 'runs'}{os.sep}"
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            environment = process.environ()
            ours = environment.get(STATE) == str(state) or environment.get(kfp_local_folder.VARIABLE, "").startswith(
                runs
            )
            if ours and _runs(process):
                found.append((process, environment))
    return found


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _name_of_parent(process: psutil.Process, state: str) -> str | None:
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
    for process in _left(processes, grace):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _left(processes, 5.0)


def _left(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run after `seconds`; returns when none does. A zombie that nobody reaps does not run."""
    deadline = time.monotonic() + seconds
    while (left := [process for process in processes if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _last_line(log: Path, begin: int) -> str:
    """The last line that says something, of what was written from `begin` on."""
    with suppress(OSError), log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(begin, size - 4096))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
        return next((line[:500] for line in reversed(lines) if line), "")
    return ""
