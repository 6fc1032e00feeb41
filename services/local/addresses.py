"""Ports on loopback: the default where it is free, another where it is taken, the same one again after a restart."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

HOST = "127.0.0.1"
DEFAULTS = {"envoy": 8080, "admin": 9901, "mlflow": 5000, "prometheus": 9090, "metrics": 9464}


@dataclass(frozen=True)
class Addresses:
    """The ports of one state folder."""

    envoy: int
    admin: int
    mlflow: int
    prometheus: int
    metrics: int

    def url(self, name: str) -> str:
        """`http://127.0.0.1:<port>` of `name`."""
        return f"http://{HOST}:{asdict(self)[name]}"


def load(file: Path) -> Addresses | None:
    """The addresses that a supervisor before us chose."""
    return Addresses(**json.loads(file.read_text())) if file.exists() else None


def choose(file: Path, running: frozenset[str], wanted: dict[str, int] | None = None) -> Addresses:
    """Keep the ports of what runs already and of what is still free; pick anew where something else has taken them."""
    kept = load(file)
    taken: set[int] = set()
    ports: dict[str, int] = {}
    for name, default in {**DEFAULTS, **(wanted or {})}.items():
        before = asdict(kept)[name] if kept is not None else default
        port = before if name in running or (before not in taken and is_free(before)) else free_port(taken)
        ports[name] = port
        taken.add(port)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(ports, indent=1))
    temporary.replace(file)
    return Addresses(**ports)


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port(taken: set[int] | None = None) -> int:
    """A port that nobody listens on, outside `taken`."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if not taken or port not in taken:
            return port
