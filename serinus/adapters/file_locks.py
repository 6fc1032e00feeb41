"""What adapters on files need of the system: to be alone with a file, and names that outlast a power failure."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import IO

from serinus.errors import Unavailable


def alone(file: IO[bytes], where: Path, what: str, patience: float) -> None:
    """Wait until no other process holds `file`; it is ours until it is closed, or until we are killed.

    Raises Unavailable after `patience` seconds; `where` and `what` are what a person calls it.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it when we are killed
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unavailable(f"{where}: another process has held {what} for {patience:.0f} s") from None
            time.sleep(0.002)


def keep_names(folder: Path) -> None:
    """A new or renamed file is there after a power failure only if its folder was flushed, too."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
