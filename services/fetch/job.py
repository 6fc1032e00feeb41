"""One fetch: from an address to a model directory that is whole and verified, or to the reason why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from serinus import artifact
from serinus.adapters import model_dir
from serinus.durations import render
from serinus.errors import ArtifactError, Fatal, Retryable
from serinus.ports import ModelStore

SCHEME = "mlflow://"
FOLDER = "model"
"""The model's directory below the target, which is a mount point and cannot itself be renamed into place."""
_NOTE = ".fetched"
_ADDRESS = re.compile(r"mlflow://([a-z][-a-z0-9]*)/([1-9][0-9]{0,9})")
_LONGEST_WAIT = 15.0


@dataclass(frozen=True)
class Address:
    """What to fetch: a version of a loop's model."""

    loop: str
    version: int

    def __str__(self) -> str:
        return f"{SCHEME}{self.loop}/{self.version}"


def parse(uri: str) -> Address:
    """The inverse of `serinus.render.names.storage_uri`. Raises Fatal that says what was expected."""
    found = _ADDRESS.fullmatch(uri)
    if found is None:
        raise Fatal(f"expected {SCHEME}LOOP/VERSION, such as {SCHEME}flight-delay/3, got {uri!r:.200}")
    return Address(found[1], int(found[2]))


def waits() -> Iterator[float]:
    """Seconds to wait after the first, second, ... failure: 1, 2, 4, 8, then 15 each."""
    seconds = 1.0
    while True:
        yield min(seconds, _LONGEST_WAIT)
        seconds *= 2


def fetch(
    store: ModelStore,
    address: Address,
    target: Path,
    patience: timedelta,
    *,
    now: Callable[[], float],
    sleep: Callable[[float], None],
    say: Callable[[str], None],
) -> Path:
    """Make `target`/model the directory of `address`, and return it.

    What an earlier start of the same pod fetched is checked against its own digest and kept, without asking anybody:
    a version never changes. A store that cannot be asked is asked again for as long as `patience`; `now` is a clock in
    seconds that never goes back. Raises Retryable after that, Fatal at once: no such version, or a model that is not
    the one that was registered.
    """
    into = target / FOLDER
    if _kept(target, address):
        say(f"{address} is in {into} already")
        return into
    until = now() + patience.total_seconds()
    for attempt, wait in enumerate(waits(), start=1):
        try:
            store.fetch(address.loop, address.version, into)
        except Retryable as error:
            if now() + wait > until:
                tries = "1 try" if attempt == 1 else f"{attempt} tries"
                raise Retryable(f"{error}; gave up after {tries} in {render(patience)}") from error
            say(f"{error}; trying again in {wait:.0f} s")
            sleep(wait)
        else:
            break
    _keep(target, address, artifact.verify(into))
    return into


def _kept(target: Path, address: Address) -> bool:
    """Whether `target` holds what an earlier start fetched for the same address, unchanged since."""
    try:
        note = json.loads((target / _NOTE).read_bytes())
        return bool(note["uri"] == str(address) and note["digest"] == artifact.verify(target / FOLDER))
    except (OSError, ValueError, TypeError, KeyError, ArtifactError):
        return False


def _keep(target: Path, address: Address, digest: str) -> None:
    new = target / f"{_NOTE}.new"
    new.write_text(json.dumps({"uri": str(address), "digest": digest}))
    new.replace(target / _NOTE)


def scratch(target: Path) -> Path:
    """A new folder for temporary files, below the only place that is certainly writable.

    What earlier starts of the same pod left when they were killed is removed first: nobody else writes there.
    """
    model_dir.clear(target / FOLDER)
    folder = target / f".{FOLDER}.scratch.part"
    folder.mkdir()
    return folder
