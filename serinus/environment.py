"""What this process runs: code, packages, image; for the record of what it makes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import serinus
from serinus.facts import Code
from serinus.spec import ModelLoop

REVISION, IMAGE = "SERINUS_REVISION", "SERINUS_IMAGE"  # set in our images, and in the pipeline's pods
LOCK = "uv.lock"
PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "threadpoolctl")


def code(spec: ModelLoop, environment: Mapping[str, str] = os.environ) -> Code:
    """What runs here. The modules of the user's own functions are looked for where Python would import them from."""
    home = Path(serinus.__file__).parent
    return Code(
        release=serinus.__version__,
        revision=environment.get(REVISION, ""),
        source=digest(home, home.rglob("*.py")),
        own=_own(spec),
        lock=_lock((Path(sys.prefix), home.parent)),
        image=environment.get(IMAGE, ""),
        python=platform.python_version(),
        packages={name: version for name in PACKAGES if (version := _version(name))},
    )


def digest(root: Path, files: Iterable[Path]) -> str:
    """The sha256 over names, relative to `root`, and contents of `files`, whatever their order."""
    total = hashlib.sha256()
    for path in sorted(files):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{content}  {path.relative_to(root).as_posix()}\n".encode())
    return total.hexdigest()


def _own(spec: ModelLoop) -> str:
    """Of the packages that the user's functions are in: not of what these import, which the lock or image names."""
    source, training = spec.spec.data.source, spec.spec.training
    named = [training.python, getattr(source, "python", None)]
    tops = {reference.partition(":")[0].partition(".")[0] for reference in named if isinstance(reference, str)}
    if not tops:
        return ""
    return hashlib.sha256("".join(_module(top) for top in sorted(tops)).encode()).hexdigest()


def _module(name: str) -> str:
    found = importlib.util.find_spec(name)
    if found is None:
        return ""
    places = [Path(place) for place in found.submodule_search_locations or ()]
    if places:
        return "".join(digest(place.parent, place.rglob("*.py")) for place in places)
    return digest(Path(found.origin).parent, [Path(found.origin)]) if found.origin else ""


def _lock(places: Iterable[Path]) -> str:
    for place in places:
        if (place / LOCK).is_file():
            return hashlib.sha256((place / LOCK).read_bytes()).hexdigest()
    return ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
