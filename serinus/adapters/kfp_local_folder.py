"""The folder of one local run: the files through which runner, child process and steps speak with each other.

    lock        held (flock) by the child process as long as it lives; the kernel lets go of it whatever happens
    run.json    what was asked; written once, by the runner
    step        the name of the step that runs; written by the steps
    reason.json why a step failed, in its own words; written by the steps
    end.json    how the run ended; written once: by the child, or by whoever found it dead
    log.txt     everything that the steps said
    artifacts/  what the steps handed on; the runner keeps those of the latest runs only
    tmp/        temporary files; gone when the run has ended

Every file but the log is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import psutil

from serinus import wire
from serinus.facts import RunPhase, RunRequest

VARIABLE = "SERINUS_RUN_DIR"  # in the environment of the child and of all that it starts: which run they belong to
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What a child process has to do."""

    request: RunRequest
    created: datetime
    deadline: float  # seconds after `created`
    pipeline: str  # path of the compiled pipeline
    mlflow_uri: str
    code: str  # the folder of the ModelLoop file and of the user's own code


@dataclass(frozen=True)
class Reason:
    """Why a step failed."""

    step: str
    text: str


@dataclass(frozen=True)
class End:
    """How a run ended."""

    phase: RunPhase
    at: datetime
    step: str = ""
    reason: str = ""


def put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and have it on the disk before returning."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def get(kind: type[T], path: Path) -> T | None:
    """The value in the file, None when there is no such file."""
    try:
        return wire.load(kind, path.read_bytes())
    except FileNotFoundError:
        return None


def job(run: Path) -> Job | None:
    """What was asked; None when the folder is no run."""
    return get(Job, run / "run.json")


def end(run: Path) -> End | None:
    """How the run ended; None when nobody has written that yet."""
    return get(End, run / "end.json")


def step(run: Path) -> str:
    """The step that runs, or ran last; empty before the first one."""
    try:
        return (run / "step").read_text()
    except FileNotFoundError:
        return ""


def finish(run: Path, how: End) -> None:
    """Write how the run ended, unless that is known already."""
    if end(run) is None:
        put(run / "end.json", wire.dump(how))


def begin_step(name: str) -> None:
    """Called by a step: it runs now. Does nothing outside a local run."""
    run = os.environ.get(VARIABLE)
    if run:
        put(Path(run) / "step", name.encode())


def code() -> Path | None:
    """Called by a step: the folder of the user's own code; None outside a local run."""
    run = os.environ.get(VARIABLE)
    asked = job(Path(run)) if run else None
    return Path(asked.code) if asked is not None else None


def fail_step(name: str, reason: str) -> None:
    """Called by a step: why it fails. Does nothing outside a local run."""
    run = os.environ.get(VARIABLE)
    if run:
        put(Path(run) / "reason.json", wire.dump(Reason(name, reason)))


@contextlib.contextmanager
def held(path: Path) -> Iterator[int | None]:
    """Hold the lock file for a while: its descriptor, or None when somebody else (process or thread) holds it.

    A descriptor that a child process inherits holds the lock for the child too, without a gap.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def members(run: Path) -> list[psutil.Process]:
    """The living processes of the run: those that have its folder in their environment, this one excepted.

    The environment is that of the process's start, so a number that went to another process cannot mislead.
    """
    found = []
    for process in psutil.process_iter():
        if process.pid != os.getpid():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(VARIABLE) == str(run) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
    return found


def kill(run: Path, tries: int = 20) -> bool:
    """Kill all processes of the run; whether none is left. They hold nothing that a later run would need whole."""
    for _ in range(tries):
        alive = members(run)  # again: one of them may have started another in between
        if not alive:
            return True
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=0.5)
    return not members(run)
