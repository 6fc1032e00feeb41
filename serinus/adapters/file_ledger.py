"""The port Ledger as files: `FOLDER/LOOP/` with status.json, events.jsonl and inbox/*.json.

The rename of status.json is the moment at which a write happened. Events are appended before it with the revision they
belong to, and whoever reads them leaves out those of a revision that never came; handled requests are removed after
it, and whoever reads them leaves out those that the status has handled. So a kill -9 between any two steps shows
either the old state or the new one, whole.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from serinus import wire
from serinus.adapters import file_locks
from serinus.errors import Conflict, Fatal, Unavailable
from serinus.facts import Event, Request, Status
from serinus.ports import Entry

T = TypeVar("T")
LARGEST_EVENTS = 2_000_000  # bytes of events.jsonl; past it the older half goes
_TAIL = 64 * 1024  # bytes of events.jsonl that a write looks at
_LOCK_DEADLINE = 10.0  # seconds; a write holds the lock for milliseconds


@dataclass(frozen=True)
class _Kept:
    revision: int
    status: Status


@dataclass(frozen=True)
class _Happened:
    revision: int  # of the write that the event came with
    event: Event


class FileLedger:
    """Loops' memories under `folder`, for any number of processes on this machine.

    Verbs raise Unavailable when the folder cannot be read or written, Fatal when a file in it is not one of ours.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, loop: str) -> Entry:
        """The status, its revision and the open requests; a loop never heard of has an empty status, revision 0."""
        home = self._home(loop)
        with _said(home):
            inbox = [_load(Request, path) for path in (home / "inbox").glob("*.json")]
            kept = _kept(home, loop)  # after the inbox: what a write removed from it meanwhile is in `handled` here
        waiting = [request for request in inbox if request is not None and request.id not in kept.status.handled]
        return Entry(kept.status, kept.revision, tuple(sorted(waiting, key=lambda request: (request.at, request.id))))

    def write(self, loop: str, status: Status, events: Sequence[Event], revision: int) -> None:
        """Keep status and events in one step; drops the requests in `status.handled`. Raises Conflict."""
        home = self._home(loop)
        kept = wire.dump(_Kept(revision + 1, status))
        happened = [wire.dump(_Happened(revision + 1, event)) for event in events]
        with _said(home), _locked(home):
            current = _kept(home, loop).revision
            if current != revision:
                raise Conflict(f"{loop}: expected revision {revision} in the ledger, found {current}; read it again")
            _append(home / "events.jsonl", happened, revision)
            _replace(home / "status.json", kept)
            handled = {_asked(home, each) for each in status.handled}
            for path in handled.intersection((home / "inbox").glob("*.json")):
                path.unlink()

    def ask(self, loop: str, request: Request) -> None:
        """Put a request into the inbox; the same id twice is one request, the first."""
        home = self._home(loop)
        data = wire.dump(request)
        with _said(home), _locked(home):
            if not _asked(home, request.id).exists():
                (home / "inbox").mkdir(exist_ok=True)
                _replace(_asked(home, request.id), data)

    def events(self, loop: str, limit: int = 100) -> tuple[Event, ...]:
        """The latest events, oldest first."""
        home = self._home(loop)
        with _said(home):
            revision = _kept(home, loop).revision  # before the events: those of a later write are left out
            lines = (_bytes(home / "events.jsonl") or b"").splitlines()
        latest: list[Event] = []
        while lines and len(latest) < limit:
            happened = _happened(lines.pop())
            if happened is not None and happened.revision <= revision:
                latest.append(happened.event)
        return tuple(reversed(latest))

    def _home(self, loop: str) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", loop):
            raise Fatal(f"expected a loop's name of letters, digits, dots and dashes, got {loop!r}")
        return self.folder / loop


# --- reading -----------------------------------------------------------------------------------------------------


def _kept(home: Path, loop: str) -> _Kept:
    return _load(_Kept, home / "status.json") or _Kept(0, Status(loop))


def _asked(home: Path, request: str) -> Path:
    return home / "inbox" / f"{hashlib.sha256(request.encode()).hexdigest()}.json"  # an id may hold anything


def _load(kind: type[T], path: Path) -> T | None:
    """What the file holds; None when it is not (or no longer) there."""
    data = _bytes(path)
    if data is None:
        return None
    try:
        return wire.load(kind, data)
    except Fatal as error:
        raise Fatal(f"{path}: {error}") from error


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _happened(line: bytes) -> _Happened | None:
    try:
        return wire.load(_Happened, line)
    except Fatal:
        return None  # torn by a kill; its status never came


# --- writing: under the lock -------------------------------------------------------------------------------------


def _append(path: Path, lines: Sequence[bytes], revision: int) -> None:
    """Add `lines`, after taking away what a write that never happened left, and the older half when there is much."""
    size = path.stat().st_size if path.exists() else 0
    if size and (size > LARGEST_EVENTS or not _ends_well(path, size, revision)):
        kept, room = [], LARGEST_EVENTS // 2
        for line in reversed(path.read_bytes().splitlines(keepends=True)):
            happened = _happened(line)
            if happened is None or happened.revision > revision:
                continue
            room -= len(line)
            if room < 0:
                break
            kept.append(line)
        _replace(path, b"".join(reversed(kept)))
    if lines:
        with path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())


def _ends_well(path: Path, size: int, revision: int) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    last = _happened(tail.splitlines()[-1]) if tail.endswith(b"\n") else None
    return last is not None and last.revision <= revision


def _replace(path: Path, data: bytes) -> None:
    """The file has all of `data` or is what it was, whenever the process or the machine ends."""
    beside = path.with_name(f"{path.name}.tmp")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    file_locks.keep_names(path.parent)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("ab") as lock:
        file_locks.alone(lock, home, "the ledger", _LOCK_DEADLINE)
        yield


@contextmanager
def _said(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{home}: the ledger cannot be read or written: {error}") from error
