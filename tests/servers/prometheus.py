"""A real Prometheus on a free loopback port, and an exporter of few words for it to scrape."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

from services.local import programs

T = TypeVar("T")

_CONFIG = """\
global: {{scrape_interval: {scrape}, scrape_timeout: {scrape}}}
scrape_configs:
- job_name: serinus
  file_sd_configs: [{{files: [{targets}], refresh_interval: 1s}}]
"""


def until(ask: Callable[[], T | None], what: str, seconds: float = 30.0) -> T:
    """The first answer that is something; fails the test, naming `what`, when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)
    return answer


@dataclass
class Prometheus:
    """A Prometheus process; `stop` ends it, `start` brings it back on its port and data."""

    folder: Path
    scrape: str = "1s"
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    targets: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it is ready. Its first start lets the system choose the port."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_targets()
        config = self.folder / "prometheus.yml"
        config.write_text(_CONFIG.format(scrape=self.scrape, targets=self.folder / "targets.json"))
        log = self.folder / f"log-{time.monotonic_ns()}"
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                [
                    str(programs.prometheus()),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--log.level=info",
                ],
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        self.port = until(lambda: self._listening(log), "Prometheus says where it listens")
        until(lambda: self._ready(log), "Prometheus is ready")

    def stop(self, kill: bool = False) -> None:
        """End the process, with SIGKILL when `kill`."""
        if self.process is not None:
            (self.process.kill if kill else self.process.terminate)()
            self.process.wait(30)
            self.process = None

    def watch(self, address: str, **labels: str) -> None:
        """Scrape `address` (host:port) too, adding `labels` to what it tells; takes up to a second."""
        self.targets[address] = labels
        self._write_targets()

    def _write_targets(self) -> None:
        groups = [{"targets": [address], "labels": labels} for address, labels in self.targets.items()]
        new = self.folder / "targets.new"
        new.write_text(json.dumps(groups))
        new.replace(self.folder / "targets.json")

    def _listening(self, log: Path) -> int | None:
        found = re.search(r'msg="Listening on" address=127\.0\.0\.1:(\d+)', self._read(log))
        return int(found.group(1)) if found else None

    def _ready(self, log: Path) -> bool:
        self._read(log)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == 200
        return False

    def _read(self, log: Path) -> str:
        assert self.process is not None
        text = log.read_text()
        assert self.process.poll() is None, f"Prometheus ended: {text[-2000:]}"
        return text


@contextlib.contextmanager
def prometheus(folder: Path, scrape: str = "1s") -> Iterator[Prometheus]:
    """A ready Prometheus that keeps its files in `folder`, scrapes every `scrape`, and ends with the block."""
    server = Prometheus(folder, scrape)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@dataclass
class Exporter:
    """Tells the counters that the test sets; `scrapes` counts how often it was asked."""

    address: str
    scrapes: int = 0
    values: dict[str, float] = field(default_factory=dict)

    def set(self, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Let the series have `value` from now on."""
        self.values[_series(metric, labels)] = value

    def forget(self, metric: str, labels: Mapping[str, str]) -> None:
        """Tell the series no more."""
        del self.values[_series(metric, labels)]

    def text(self) -> bytes:
        return "".join(f"{series} {value}\n" for series, value in list(self.values.items())).encode()


def _series(metric: str, labels: Mapping[str, str]) -> str:
    """As the text format writes it, which knows the escapes of backslash, quote and line feed only."""
    escapes = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
    pairs = [f'{name}="{text.translate(escapes)}"' for name, text in labels.items()]
    return f"{metric}{{{','.join(pairs)}}}"


@contextlib.contextmanager
def exporter() -> Iterator[Exporter]:
    """An exporter on a free loopback port, in a thread of this process; ends with the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = told.text()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # a Prometheus that ends hangs up
                self.wfile.write(body)
            told.scrapes += 1

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: pytest shows what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told = Exporter(f"127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
