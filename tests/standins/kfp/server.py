"""The stand-in's HTTP server: the v2beta1 API, and what a test does to it.

POST /standin/faults    {"slow": seconds, "unavailable": seconds, "drop_creates": n, "login_page": true, ...}
GET  /standin/runs/ID/PATH    a file of a run's folder: log.txt, artifacts/…/card
"""

from __future__ import annotations

import contextlib
import email
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.standins.kfp.backend import Backend
from tests.standins.kfp.queries import Object, Refused

API = "/apis/v2beta1"
_LOGIN = b"<!doctype html><html><body><form action='/dex/auth'>Log in</form></body></html>"
_CODES = {400: 3, 401: 16, 404: 5, 409: 6, 500: 13, 503: 14}


@dataclass
class Faults:
    """What is wrong with the server just now."""

    slow: float = 0.0  # seconds that every answer takes
    unavailable_until: float = 0.0  # time.monotonic() up to which every answer is a 503
    drop_creates: int = 0  # of so many runs the creation is not answered: the connection ends
    login_page: bool = False  # everything is a login page, with status 200
    redirect: bool = False  # everything is elsewhere: 302
    together: threading.Barrier | None = None  # runs are created when so many are asked for at once

    def set(self, wanted: Object) -> None:
        """As POST /standin/faults says them; what is not named is over."""
        self.slow = float(wanted.get("slow", 0))
        self.unavailable_until = time.monotonic() + float(wanted.get("unavailable", 0))
        self.drop_creates = int(wanted.get("drop_creates", 0))
        self.login_page = bool(wanted.get("login_page", False))
        self.redirect = bool(wanted.get("redirect", False))
        many = int(wanted.get("together", 0))
        self.together = threading.Barrier(many, timeout=60) if many else None


class Server(ThreadingHTTPServer):
    """A running stand-in. token: the bearer token that it wants, "" for none."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], backend: Backend, token: str = "") -> None:
        super().__init__(address, Handler)
        self.backend, self.token, self.faults = backend, token, Faults()
        self.closed = threading.Event()
        self.calls: list[str] = []  # method and path, for tests that count

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *_words: object) -> None:
        """Quiet."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path, faults = unquote(parts.path), self.server.faults
        if path.startswith("/standin/"):
            self._standin(path, body)
            return
        self.server.calls.append(f"{self.command} {path}")
        time.sleep(faults.slow)
        if faults.redirect:
            self._send(302, b"", "text/html\r\nLocation: /dex/auth")
        elif faults.login_page:
            self._send(200, _LOGIN, "text/html")
        elif time.monotonic() < faults.unavailable_until:
            self._send(503, b"upstream connect error", "text/plain")
        else:
            self._answer(path, query, body)

    def _answer(self, path: str, query: dict[str, str], body: bytes) -> None:
        try:
            if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
                raise Refused(401, "Unauthenticated: the token is missing or wrong")
            if (self.command, path) == ("POST", f"{API}/runs") and self.server.faults.together is not None:
                self.server.faults.together.wait()
            answer = self._route(path.removeprefix(API), query, body)
        except Refused as refused:
            code = _CODES.get(refused.status, 2)
            said = {"error": refused.message, "code": code, "message": refused.message, "details": []}
            self._send(refused.status, json.dumps(said).encode())
            return
        if (self.command, path) == ("POST", f"{API}/runs") and self.server.faults.drop_creates:
            self.server.faults.drop_creates -= 1
            self.close_connection = True  # the run is there, and nobody is told
            return
        self._send(200, json.dumps(answer).encode())

    def _route(self, path: str, query: dict[str, str], body: bytes) -> Object:
        backend = self.server.backend
        if self.command == "POST" and path in ("/pipelines/upload", "/pipelines/upload_version"):
            return self._upload(path, query, body)
        given: Any = json.loads(body) if body else {}
        words = re.split(r"[/:]", path.strip("/"))
        routes: dict[tuple[str, int, str, str], Callable[[], Object]] = {
            ("GET", 1, "healthz", ""): lambda: {"multi_user": backend.multi_user},
            ("GET", 1, "experiments", ""): lambda: backend.listing("experiments", query),
            ("POST", 1, "experiments", ""): lambda: backend.create_experiment(given),
            ("GET", 2, "experiments", ""): lambda: backend.get("experiments", experiment_id=words[1]),
            ("GET", 1, "pipelines", ""): lambda: backend.listing("pipelines", query),
            ("GET", 2, "pipelines", ""): lambda: backend.get("pipelines", pipeline_id=words[1]),
            ("GET", 3, "pipelines", "versions"): lambda: backend.listing("versions", query, pipeline_id=words[1]),
            ("GET", 1, "runs", ""): lambda: backend.listing("runs", query),
            ("POST", 1, "runs", ""): lambda: backend.create_run(given),
            ("GET", 2, "runs", ""): lambda: backend.get("runs", run_id=words[1]),
            ("POST", 3, "runs", "terminate"): lambda: backend.terminate(words[1]),
            ("POST", 3, "runs", "archive"): lambda: backend.store(words[1], "ARCHIVED"),
            ("POST", 3, "runs", "unarchive"): lambda: backend.store(words[1], "AVAILABLE"),
        }
        route = routes.get((self.command, len(words), words[0], words[2] if len(words) > 2 else ""))
        if route is None:
            raise Refused(404, f"the stand-in has no {self.command} {path}")
        return route()

    def _upload(self, path: str, query: dict[str, str], body: bytes) -> Object:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = list(email.message_from_bytes(head + body).walk())
        payload = parts[1].get_payload(decode=True)  # the form's only field
        assert isinstance(payload, bytes)
        text = payload.decode()
        try:
            assert isinstance(next(iter(yaml.safe_load_all(text)))["deploymentSpec"], dict)
        except (yaml.YAMLError, KeyError, TypeError, StopIteration):
            self.server.closed.wait()  # the real one parses such a file for ever
            raise Refused(500, "closed") from None
        if path.endswith("upload"):
            return self.server.backend.create_pipeline(text, query.get("name", ""), query)
        return self.server.backend.create_version(text, query.get("name", ""), query.get("pipelineid", ""))

    def _standin(self, path: str, body: bytes) -> None:
        if path == "/standin/faults":
            self.server.faults.set(json.loads(body))
            self._send(200, b"{}")
            return
        runs = self.server.backend.folder / "runs"
        file = (runs / path.removeprefix("/standin/runs/")).resolve()
        if not file.is_relative_to(runs) or not file.is_file():
            self._send(404, b"{}")
            return
        self._send(200, file.read_bytes(), "text/plain" if file.suffix else "text/html")

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        head = f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        with contextlib.suppress(OSError):  # who asked is gone
            self.wfile.write(head.encode() + body)  # at once: header and body apart cost 40 ms


@contextlib.contextmanager
def serving(
    folder: Path, port: int = 0, token: str = "", accounts: frozenset[str] | None = None, multi_user: bool = False
) -> Iterator[Server]:
    """A stand-in in a thread of this process; the runs it started go on when it ends."""
    server = Server(("127.0.0.1", port), Backend(folder, accounts, multi_user), token)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closed.set()
        server.shutdown()
        server.server_close()
