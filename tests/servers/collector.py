"""The real collector on a free loopback port: as a process, and in a thread of ours where a test needs many of them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from serinus.adapters.collector_api import CollectorClient
from services.collector.start import Settings
from services.collector.start import collector as made
from tests.servers.prometheus import until

KEY = "0123456789abcdef-of-a-test"


@dataclass
class Collector:
    """A collector process; `end` and `kill` end it, `start` brings it back on its port."""

    folder: Path
    database: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self.folder / "log.txt").read_text()

    def client(self, namespace: str = "local", timeout: float = 30.0) -> CollectorClient:
        return CollectorClient(self.url, namespace, timeout=timeout, by="ann")

    def start(self, ready: bool = True) -> None:
        """Start it, and wait until it listens; and until it can be used, where `ready`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "key").write_text(KEY)
        (self.folder / "url").write_text(self.database)
        with (self.folder / "log.txt").open("ab") as sink:
            before = sink.tell()
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "services.collector", "--port", str(self.port),
                    "--database-url-file", str(self.folder / "url"), "--hash-key-file", str(self.folder / "key"),
                    "--retention", "36500d", "--drain", "0", *self.arguments,
                ],
                stdout=sink, stderr=subprocess.STDOUT, env={**os.environ, **self.environment},
            )  # fmt: skip
        self.port = until(lambda: self._port(before), "the collector says where it listens", 60)
        if ready:
            until(self.is_ready, "the collector is ready", 60)

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        return False

    def count(self, metric: str, **labels: str) -> float:
        """The sum of the series of `metric` with these labels."""
        total = 0.0
        for line in httpx.get(f"{self.url}/metrics", timeout=10).text.splitlines():
            found = re.fullmatch(rf"{metric}(?:\{{(.*)\}})? (\S+)", line)
            if found and all(f'{name}="{value}"' in (found[1] or "") for name, value in labels.items()):
                total += float(found[2])
        return total

    def end(self) -> int:
        """SIGTERM; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        assert self.process is not None
        code = self.process.wait(60)
        self.process = None
        return code

    def _port(self, before: int) -> int | None:
        assert self.process is not None
        said = (self.folder / "log.txt").read_bytes()[before:].decode()
        assert self.process.poll() is None, f"the collector ended: {said[-3000:]}"
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", said)
        time.sleep(0.02)
        return int(found[1]) if found else None


@contextlib.contextmanager
def collector(
    folder: Path, database: str, *arguments: str, environment: Mapping[str, str] | None = None, ready: bool = True
) -> Iterator[Collector]:
    """A running one that ends with the block."""
    server = Collector(folder, database, arguments, environment or {})
    try:
        server.start(ready)
        yield server
    finally:
        if server.process is not None:
            server.kill()


@contextlib.contextmanager
def threaded(folder: Path, database: str, audit_file: Path | None = None) -> Iterator[str]:
    """The URL of one in this process, over a database of its own."""
    (folder / "key").write_text(KEY)
    settings = Settings(
        database=database,
        hash_key_file=folder / "key",
        audit_file=audit_file,
        retention=timedelta(days=36500),
        drain=0,
    )
    server = made(settings, lambda: datetime.now(UTC))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.listen, args=(sock,))
        thread.start()
        try:
            until(lambda: not server.life.database, "the database is open", 60)
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            server.store.close()
