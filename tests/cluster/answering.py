"""A model server of few words, run in pods in the predictor's stead: it says its version to whoever asks.

    python answering.py serve --version N ...     as KServe starts the predictor; arguments it does not know are ignored
    python answering.py fate                      says which versions must not be ready

Like the predictor it goes on answering for five seconds after SIGTERM. `POST /die` ends it at once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DRAIN = 5.0
ENDING = threading.Event()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment: apart they cost 40 ms (Nagle and delayed acknowledgement)

    def do_GET(self) -> None:
        if self.path == "/v2/health/ready":
            ready = not ENDING.is_set() and VERSION not in broken()
            self.answer(200 if ready else 503, {"ready": ready})
        else:
            self.answer(200, {"model_version": str(VERSION)})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/die":
            os._exit(3)
        self.answer(200, {"model_version": str(VERSION)})

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if ENDING.is_set():
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Fate(Answering):
    """`POST /1,2`: these versions are broken from now on. `GET /`: which ones are."""

    said: list[int] = []

    def do_GET(self) -> None:
        self.answer(200, self.said)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        Fate.said = [int(version) for version in self.path.strip("/").split(",") if version]
        self.answer(200, {"broken": self.said})


def broken() -> list[int]:
    """What fate says; nothing when it cannot be asked."""
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        connection = http.client.HTTPConnection("fate", 8080, timeout=1)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            return list(json.loads(connection.getresponse().read()))
    return []


def end(*_: object) -> None:
    """Go on answering while the gateway learns that this pod ends."""
    ENDING.set()
    threading.Timer(DRAIN if sys.argv[1] == "serve" else 0.0, os._exit, [0]).start()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    VERSION = int(sys.argv[sys.argv.index("--version") + 1]) if sys.argv[1] == "serve" else 0
    signal.signal(signal.SIGTERM, end)
    Server(("", 8080), Answering if sys.argv[1] == "serve" else Fate).serve_forever()
