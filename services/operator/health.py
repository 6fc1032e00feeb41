"""/healthz, /readyz and /metrics, in threads of their own: they answer while everything else hangs.

- /healthz: 503 when the event loop has not moved for `STUCK` seconds, or the watches have not told of an edit for
  `BLIND` seconds that a look has seen. The kubelet then restarts the pod.
- /readyz: 200 from the moment this replica can take part: "leading" or "standing by, NAME leads".
- /metrics: Prometheus' text.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

STUCK = 30.0
BLIND = 90.0  # kopf itself gives a silent stream up after 70 s and starts it anew


@dataclass
class Health:
    """What the probes are told; written by the operator's parts, read by the server's threads. Times are monotonic."""

    leading: bool = False
    holder: str = ""
    beat: float | None = None  # the event loop's latest turn; None while none runs
    blind: float | None = None  # since when the watches owe an edit that was seen otherwise

    def live(self, now: float) -> tuple[bool, str]:
        """Whether it is worth going on, and why not."""
        if self.beat is not None and now - self.beat > STUCK:
            return False, f"the event loop has not moved for {now - self.beat:.0f} s"
        if self.blind is not None and now - self.blind > BLIND:
            return False, f"the watches have not told of an edit that was made {now - self.blind:.0f} s ago"
        return True, "ok"

    def ready(self) -> tuple[bool, str]:
        """Whether this replica takes part, and as what."""
        return True, "leading" if self.leading else f"standing by, {self.holder or 'nobody'} leads"


@contextlib.contextmanager
def serving(host: str, port: int, health: Health, registry: CollectorRegistry) -> Iterator[int]:
    """Answer on `host`:`port` (0: a free one) inside the block; gives the port. Raises OSError when it is taken."""
    answers: dict[str, Callable[[], tuple[int, str, bytes]]] = {
        "/healthz": lambda: _said(health.live(time.monotonic())),
        "/readyz": lambda: _said(health.ready()),
        "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0])
            status, kind, body = answer() if answer is not None else (404, "text/plain", b"not here\n")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # a prober that hangs up
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a line for every probe helps nobody."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="health", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _said(answer: tuple[bool, str]) -> tuple[int, str, bytes]:
    good, text = answer
    return 200 if good else 503, "text/plain; charset=utf-8", f"{text}\n".encode()
