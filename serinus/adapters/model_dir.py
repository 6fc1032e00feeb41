"""A model directory that is fetched from elsewhere: there whole and verified, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil

from serinus import artifact
from serinus.errors import ArtifactError


def whole(into: Path, digest: str, download: Callable[[Path], Path]) -> Path:
    """Make `into` the model directory with `digest` ("": any that is true to its manifest) and return it.

    It is there already: nothing is done. Else `download(empty)` puts it into the empty folder that it is given, or
    below, and says where; what it made is verified, then renamed into place. A directory that is there and is
    not the right one (cut short by hand, changed, another version) is replaced. Raises ArtifactError when what came
    is not what was registered.
    """
    if _is(into, digest):
        return into
    into.parent.mkdir(parents=True, exist_ok=True)
    _sweep(into)
    folder = Path(tempfile.mkdtemp(prefix=f".{into.name}.{os.getpid()}.", suffix=".part", dir=into.parent))
    try:
        empty = folder / "download"
        empty.mkdir()
        made = download(empty)
        found = artifact.verify(made)
        if digest and found != digest:
            raise ArtifactError(f"{into}: expected the model with digest {digest}, as registered; got {found}")
        _rename(made, into, folder / "replaced", digest)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return into


def clear(into: Path) -> None:
    """Remove what fetches to `into` that were cut short left beside it, for a caller who alone fetches there.

    `whole` itself goes by process ids, which say nothing across the restart of a container: both were 1.
    """
    for part in into.parent.glob(f".{into.name}.*.part"):
        shutil.rmtree(part, ignore_errors=True)


def _is(directory: Path, digest: str) -> bool:
    try:
        found = artifact.verify(directory)
    except ArtifactError:
        return False
    return not digest or found == digest


def _rename(made: Path, into: Path, aside: Path, digest: str) -> None:
    if into.exists() and not _is(into, digest):
        into.rename(aside)
    try:
        made.rename(into)
    except OSError:
        if not _is(into, digest):  # else somebody else fetched the same meanwhile
            raise


def _sweep(into: Path) -> None:
    """Remove what fetches to `into` left behind when they were killed."""
    for part in into.parent.glob(f".{into.name}.*.part"):
        owner = part.name.removeprefix(f".{into.name}.").split(".")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(part, ignore_errors=True)
