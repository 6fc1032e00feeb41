"""The port Audit as a file: one entry a line, as JSON, appended under a lock and flushed to the disk.

A kill -9 or a power failure in the middle of an append leaves a last line that is torn, and maybe whole lines before
it. Nobody was told that these are there, and who is not told appends the same deeds again; so the next append keeps
the whole ones, takes the torn one away, and adds what lacks. Any other line that is not an entry was not left by us:
it is named, and nothing is appended behind it.
"""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from serinus import wire
from serinus.adapters import file_locks
from serinus.decide.audit import link
from serinus.errors import Fatal, Unavailable
from serinus.facts import AuditEntry, Deed

_LOCK_DEADLINE = 10.0  # seconds; an append holds the lock for milliseconds


@dataclass
class _Known:
    """What was read of the file so far."""

    file: int = 0  # its inode
    end: int = 0  # bytes
    last: AuditEntry | None = None
    ids: set[str] = field(default_factory=set)
    numbers: array[int] = field(default_factory=lambda: array("q"))
    starts: array[int] = field(default_factory=lambda: array("q"))  # of each line


class FileAudit:
    """The trail in the file `path`, for any number of processes on this machine.

    Verbs raise Unavailable when the file cannot be read or written, Fatal when a line in it is not an entry.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = _Known()
        self._mutex = threading.Lock()

    def append(self, deeds: Sequence[Deed]) -> int:
        """Keep those whose id is not there yet, in this order, in one step; returns how many those were."""
        with self._said(), self._mutex, self._locked() as file:
            self._heal(file)
            made: list[AuditEntry] = []
            last, ids = self._known.last, set[str]()
            for deed in deeds:
                entry = link(last, deed)
                if entry.deed.id not in self._known.ids and entry.deed.id not in ids:
                    ids.add(entry.deed.id)
                    made.append(entry)
                    last = entry
            if made:
                file.seek(0, os.SEEK_END)
                file.write(b"".join(wire.dump(entry) + b"\n" for entry in made))
                file.flush()
                os.fsync(file.fileno())
            return len(made)

    def entries(self, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Entries with numbers greater than `after`, oldest first, as they are stored."""
        with self._said(), self._mutex:
            try:
                file = self.path.open("rb")
            except FileNotFoundError:
                return ()
            with file:
                self._read(file)  # without a lock: a last line that is being written has no end yet
                starts = self._known.starts
                places = range(self._after(after), len(starts))[: max(0, limit)]
                if places:
                    file.seek(starts[places[0]])
                return tuple(self._entry(file.readline(), place + 1) for place in places)

    # --- reading -------------------------------------------------------------------------------------------------

    def _read(self, file: IO[bytes]) -> int:
        """Take note of the whole lines that were added since the last time; returns where they end."""
        status = os.fstat(file.fileno())
        known = self._known
        if status.st_ino != known.file or status.st_size < known.end:
            known = self._known = _Known(file=status.st_ino)
        file.seek(known.end)
        for line in file:
            if not line.endswith(b"\n"):
                break
            entry = self._entry(line, len(known.starts) + 1)
            known.starts.append(known.end)
            known.numbers.append(entry.number)
            known.ids.add(entry.deed.id)
            known.last = entry
            known.end += len(line)
        return known.end

    def _after(self, number: int) -> int:
        """The line behind entry `number`: as they are stored, so that none is left out because its number is wrong."""
        numbers = self._known.numbers
        if number <= 0 or (number <= len(numbers) and numbers[number - 1] == number):
            return max(0, number)
        return next((place for place, each in enumerate(numbers) if each > number), len(numbers))

    def _entry(self, line: bytes, number: int) -> AuditEntry:
        try:
            return wire.load(AuditEntry, line)
        except Fatal as error:
            raise Fatal(
                f"{self.path}: line {number} is not an entry of the audit trail, so somebody changed the file: {error}"
            ) from error

    # --- writing: under the lock ---------------------------------------------------------------------------------

    def _heal(self, file: IO[bytes]) -> None:
        """Read what is there; a last line without an end is ended when it is an entry, else taken away."""
        end = self._read(file)
        file.seek(end)
        rest = file.read()
        if not rest:
            return
        try:
            wire.load(AuditEntry, rest)  # an editor that saves files without a last newline, say
        except Fatal:
            file.truncate(end)
        else:
            file.write(b"\n")
            file.flush()
            self._read(file)

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            file_locks.alone(file, self.path, "the audit trail", _LOCK_DEADLINE)
            if new:
                file_locks.keep_names(self.path.parent)
            yield file

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"{self.path}: the audit trail cannot be read or written: {error}") from error
