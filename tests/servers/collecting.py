"""A collector of few words in this process: it keeps what it is sent, and answers as it is told.

It is no stand-in for the real one where what becomes of a row matters; tests/local has that one.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Taking:
    """What came, and what to answer next."""

    url: str = ""
    status: int = 200
    statuses: list[int] = field(default_factory=list)  # of the next posts; then `status`
    invalid: int = 0  # rows of each batch that it finds invalid
    hold: threading.Event | None = None  # answers wait for it
    seconds: float = 0.0  # that an answer takes
    bodies: list[dict[str, Any]] = field(default_factory=list)  # of the posts answered 200
    asked: list[tuple[str, str, int]] = field(default_factory=list)  # (path, authorization, status) of every post

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The predictions taken, in their order, one by one."""
        return [row for body in list(self.bodies) for row in one_by_one(body)]


def one_by_one(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The predictions of a body by columns."""
    return [
        {
            "id": id,
            "version": body["version"],
            "time": time,
            "features": dict(zip(body["features"], values, strict=True)),
            "score": score,
            "answer": answer,
            "key": key,
        }
        for id, time, score, answer, key, *values in body["rows"]
    ]


@contextlib.contextmanager
def taking(port: int = 0) -> Iterator[Taking]:
    """A collector on loopback; when the block ends its connections do too."""
    state, connections, over = Taking(), set[Any](), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def setup(self) -> None:
            super().setup()
            connections.add(self.connection)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = state.statuses.pop(0) if state.statuses else state.status
            state.asked.append((self.path, self.headers.get("authorization", ""), status))
            if state.hold is not None:
                state.hold.wait(30)
            over.wait(state.seconds)
            if status == 200:
                state.bodies.append(json.loads(body))
            said = json.dumps({"outcomes": {"invalid": state.invalid}, "problems": ["a reason"]}).encode()
            with contextlib.suppress(OSError):  # whoever asked has gone
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)
                self.wfile.flush()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield state
    finally:
        over.set()
        if state.hold is not None:
            state.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(2)
