"""A state folder's holder: at most one supervisor, which leaves a card for the commands that talk to it.

Imports little, so that `serinus status` is quick.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from serinus.errors import Fatal
from services.local.addresses import Addresses

_LOCK_PATIENCE = 1.0  # seconds; who only asks whether a supervisor is up holds the lock for microseconds


@dataclass(frozen=True)
class Card:
    """What a supervisor leaves in its state folder for the commands that talk to it."""

    pid: int
    file: str
    loop: str
    addresses: Addresses


class Running(Fatal):
    """Another supervisor holds the state folder."""


def lock(state: Path) -> IO[str]:
    """Hold the state folder, until the returned file is closed or the process ends, however it ends."""
    state.mkdir(parents=True, exist_ok=True)
    file = (state / "supervisor.lock").open("w")  # not inherited by children
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
    file.close()
    card = read_card(state)
    who = f" (pid {card.pid}, loop {card.loop})" if card is not None else ""
    raise Running(f"another supervisor{who} holds {state}; stop it with `serinus down --state {state}`")


def is_running(state: Path) -> bool:
    """Whether a supervisor holds the state folder now."""
    try:
        with (state / "supervisor.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # several may ask at a time
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def read_card(state: Path) -> Card | None:
    """What the supervisor of this state folder, alive or killed, said of itself."""
    try:
        found = json.loads((state / "supervisor.json").read_text())
        return Card(found["pid"], found["file"], found["loop"], Addresses(**found["addresses"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


@contextmanager
def hold(state: Path) -> Iterator[None]:
    """Hold the state folder, with no card in it but our own."""
    card = state / "supervisor.json"
    with lock(state):
        card.unlink(missing_ok=True)  # of one that was killed
        try:
            yield
        finally:
            card.unlink(missing_ok=True)


def write_card(state: Path, card: Card) -> None:
    """Leave the card, whole or not at all."""
    temporary = state / "supervisor.json.tmp"
    temporary.write_text(json.dumps(asdict(card), indent=1))
    temporary.replace(state / "supervisor.json")
