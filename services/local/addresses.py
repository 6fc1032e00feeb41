"""Ports on loopback: the default where it is free, another where it is taken, the same one again after a restart."""

from __future__ import annotations

import json
import socket
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from serinus.errors import Fatal

HOST = "127.0.0.1"
DEFAULTS = {"envoy": 8080, "admin": 9901, "mlflow": 5000, "prometheus": 9090, "metrics": 9464, "collector": 8085}


@dataclass(frozen=True)
class Addresses:
    """The ports of one state folder."""

    envoy: int
    admin: int
    mlflow: int
    prometheus: int
    metrics: int
    collector: int = DEFAULTS["collector"]  # state folders of before there was one do not have it

    def url(self, name: str) -> str:
        """`http://127.0.0.1:<port>` of `name`."""
        return f"http://{HOST}:{asdict(self)[name]}"


def load(file: Path) -> Addresses | None:
    """The addresses that a supervisor before us chose; None when there are none that can be used."""
    try:
        return Addresses(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def choose(file: Path, running: Collection[str] = (), wanted: Mapping[str, int] | None = None) -> Addresses:
    """Keep the ports of what runs already and of what is still free; pick anew where something else has taken them.

    wanted: ports that somebody asked for by number. Raises Fatal when one of these is taken by another program.
    """
    asked = dict(wanted or {})
    kept = load(file)
    before = {**DEFAULTS, **(asdict(kept) if kept is not None else {})}
    taken = set(asked.values())
    ports: dict[str, int] = {}
    for name, port in asked.items():
        if not (is_free(port) or (name in running and before[name] == port)):
            raise Fatal(f"port {port}, which was asked for, is taken by another program; choose another one")
        ports[name] = port
    for name, port in before.items():
        if name not in asked:
            ports[name] = port if name in running or (port not in taken and is_free(port)) else free_port(taken)
            taken.add(ports[name])
    chosen = Addresses(**ports)
    if chosen != kept:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps(ports, indent=1))
        temporary.replace(file)
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port(taken: Collection[int] = ()) -> int:
    """A port that nobody listens on, outside `taken`."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port
