"""A predictor of few words, run as a process of its own: it says its version to whoever asks.

    python answering.py PORT VERSION

`POST /v1/models/x:predict` answers `{"version": VERSION, "bytes": LENGTH OF THE BODY}`. A body `{"status": 500}`
(any status) asks for that status, `{"seconds": 0.5}` or a path `…?0.5` for a slow answer. `GET /count` tells how many
requests came.
How many of these were copies, by their host, it tells as `copies`.
SIGTERM ends it as a good server ends: new connections are refused, those under way are answered.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COUNT = {"requests": 0, "copies": 0}


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5  # an idle connection, as uvicorn
    wbufsize = -1  # head and body in one segment: apart they cost 40 ms (Nagle and delayed acknowledgement)

    def do_GET(self) -> None:
        self.answer(200, COUNT if self.path == "/count" else {"version": VERSION, "path": self.path})

    def do_POST(self) -> None:
        COUNT["requests"] += 1
        COUNT["copies"] += self.headers["host"].partition(":")[0].endswith("-shadow")
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(body) if len(body) < 1000 and body.startswith(b"{") else {}
        _, _, seconds = self.path.partition("?")
        time.sleep(float(seconds or asked.get("seconds", 0)))  # the test asked for a slow answer
        self.answer(asked.get("status", 200), {"version": VERSION, "bytes": len(body)})

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128


if __name__ == "__main__":
    VERSION = int(sys.argv[2])
    server = Server(("127.0.0.1", int(sys.argv[1])), Answering)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.socket.close()
