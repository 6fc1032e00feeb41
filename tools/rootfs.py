"""`python rootfs.py VENV ROOT`: a virtual environment with its Python and the libraries of both, for `FROM scratch`.

What comes out has no shell, no package manager and no file of the distribution that is not listed here or loaded by
something that is. Runs in the image that VENV was made in, whatever that is based on: files are taken from where this
Python says they are, shared libraries from where the dynamic linker finds them.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path

# What no running process imports.
STDLIB = ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tkinter", "turtledemo")
PACKAGES = ("tests",)
FILES = (".a", ".c", ".cpp", ".exe", ".h", ".opt-1.pyc", ".opt-2.pyc", ".pxd", ".pyi", ".pyx")
# Opened by name while a program runs, so that ldd does not show it: a thread that is cancelled needs it.
OPENED = ("libgcc_s.so.1",)
USERS = "root:x:0:0:root:/root:/sbin/nologin\nserinus:x:10001:10001:serinus:/tmp:/sbin/nologin\n"
# Without this file glibc asks the name server before /etc/hosts, for localhost too.
NAMES = "passwd: files\ngroup: files\nhosts: files dns\n"
GROUPS = "root:x:0:\nserinus:x:10001:\n"


def put(path: Path, root: Path) -> None:
    """Copy the file `path` to the same place below `root`, with every symbolic link on the way to it."""
    current = Path("/")
    for index, part in enumerate(path.parts[1:], start=1):
        place = current / part
        if place.is_symlink():
            target = place.readlink()
            link(inside(place, root), target)
            rest = path.parts[index + 1 :]
            put(Path(os.path.normpath(current / target), *rest), root)
            return
        current = place
    copy = inside(path, root)
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def link(place: Path, target: Path) -> None:
    """Make `place` a symbolic link to `target`, unless it is one already."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink():
        place.symlink_to(target)


def inside(path: Path, root: Path) -> Path:
    """Where the absolute `path` lies below `root`."""
    return root / path.relative_to("/")


def tree(directory: Path, dropped: tuple[str, ...]) -> Iterator[Path]:
    """Every file below `directory` that a process may need; folders called as in `dropped` are left out."""
    for folder, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if name not in dropped and not name.startswith("config-"))
        yield from (Path(folder, name) for name in sorted(files) if not name.endswith(FILES))


def libraries(objects: Collection[Path]) -> set[Path]:
    """The shared libraries that `objects` load. Raises RuntimeError that names one which is not there.

    A wheel's own libraries may lean on each other without saying where they are: who loads one has loaded the others.
    """
    asked = subprocess.run(["/usr/bin/ldd", *map(str, objects)], capture_output=True, text=True, check=False).stdout
    own = {path.name for path in objects}
    if missing := sorted(set(re.findall(r"(\S+) => not found", asked)) - own):
        raise RuntimeError(f"expected every shared library to be found, got none for {', '.join(missing)}")
    found = {Path(name) for name in re.findall(r"(?:=> |\t)(/\S+) \(0x", asked)}
    beside = {library.parent / name for library in found for name in OPENED}
    return found | {library for library in beside if library.exists()}


def main(venv: Path, root: Path) -> None:
    """Fill `root`."""
    interpreters = [path for path in sorted((venv / "bin").iterdir()) if path.name.startswith("python")]
    standard = Path(sysconfig.get_path("stdlib"))
    files = [
        *interpreters,
        venv / "pyvenv.cfg",
        *tree(venv / "lib", PACKAGES),
        *(path for path in tree(standard, STDLIB) if not path.name.startswith("_tkinter")),
    ]
    objects = [path for path in files if ".so" in path.name and path.is_file()]
    for path in [*files, *libraries([*interpreters, *objects]), Path("/etc/ld.so.cache")]:
        if path.exists():  # a distribution's links into /etc may lead nowhere
            put(path, root)
    compileall.compile_dir(inside(standard, root), stripdir=root, prependdir="/", quiet=1)
    # One store of certificates, the lock's: Python's ssl finds it where it looks, other programs where most look.
    (store,) = venv.glob("lib/python3*/site-packages/certifi/cacert.pem")
    for place in (Path(ssl.get_default_verify_paths().openssl_cafile), Path("/etc/ssl/certs/ca-certificates.crt")):
        link(inside(place, root), store)
    (root / "etc/passwd").write_text(USERS)
    (root / "etc/group").write_text(GROUPS)
    (root / "etc/nsswitch.conf").write_text(NAMES)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
