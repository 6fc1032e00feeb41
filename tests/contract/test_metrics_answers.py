"""What PrometheusMetrics makes of a server that answers badly, late, too much or not at all: never a number."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serinus.adapters.prometheus import PrometheusMetrics
from serinus.errors import Unavailable

END = datetime(2026, 1, 1, tzinfo=UTC)
EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}


@contextlib.contextmanager
def answering(status: int, body: bytes, pieces: int = 1, pause: float = 0.0) -> Iterator[str]:
    """A server that answers every POST the same, its body in `pieces` with a `pause` before each; yields its URL."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            size = -(-len(body) // pieces)
            with contextlib.suppress(OSError):
                for at in range(0, len(body), size):
                    ended.wait(pause)
                    self.wfile.write(body[at : at + size])

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: pytest shows what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def ask(url: str, timeout: float = 5.0, max_bytes: int = 10**6) -> object:
    metrics = PrometheusMetrics(url, timeout, max_bytes=max_bytes)
    with contextlib.closing(metrics):
        return metrics.increases("serinus_predictions_total", {"loop": "a"}, END - timedelta(minutes=1), END)


def test_an_empty_answer_is_no_series() -> None:
    with answering(200, json.dumps(EMPTY).encode()) as url:
        assert ask(url) == ()
        assert ask(url + "/") == ()


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (503, b"Service Unavailable", "got 503 with 'Service Unavailable'"),
        (502, b"<html>Bad gateway</html>", "got 502"),
        (200, b"<!doctype html><title>Log in</title>", "expected Prometheus' JSON, got 200 with '<!doctype html>"),
        (302, b"", "got 302"),
        (401, b"Unauthorized", "got 401"),
        (404, b"404 page not found", "got 404"),
        (200, b"", "got 200 with ''"),
        (200, b"[]", "expected Prometheus' JSON"),
        (200, b"null", "expected Prometheus' JSON"),
        (200, b'{"status": "success"}', "expected Prometheus' JSON"),
        (200, b'{"status": "success", "data": {"resultType": "vec', "expected Prometheus' JSON"),
        (200, b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}', "expected a vector"),
        (503, b'{"status": "error", "errorType": "timeout", "error": "query timed out"}', "503, timeout: query timed"),
        (422, b'{"status": "error", "errorType": "execution", "error": "too many samples"}', "too many samples"),
        (200, json.dumps(EMPTY | {"warnings": ["one store did not answer"]}).encode(), "one store did not answer"),
    ],
)
def test_what_is_no_complete_answer_is_unavailable_and_says_what_came(status: int, body: bytes, why: str) -> None:
    with answering(status, body) as url, pytest.raises(Unavailable) as caught:
        ask(url)
    assert why in str(caught.value)
    assert f"cannot read counters from Prometheus at {url}" in str(caught.value)


def test_an_answer_without_end_is_cut_off() -> None:
    with answering(200, b" " * 10**6) as url, pytest.raises(Unavailable, match="larger than 1000 bytes"):
        ask(url, max_bytes=1000)


@pytest.mark.parametrize("pieces", [1, 1000])
def test_a_slow_answer_is_cut_off_whether_it_is_silent_or_drips(pieces: int) -> None:
    began = time.monotonic()
    with (
        answering(200, b" " * 1000, pieces, pause=30 if pieces == 1 else 0.05) as url,
        pytest.raises(Unavailable, match=r"within 0\.5 s"),
    ):
        ask(url, timeout=0.5)
    assert time.monotonic() - began < 5


def test_a_refused_connection_is_unavailable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port, and nobody answers
        with pytest.raises(Unavailable, match="refused"):
            ask(f"http://127.0.0.1:{closed.getsockname()[1]}")


def test_the_password_in_the_address_stays_out_of_the_message() -> None:
    with pytest.raises(Unavailable) as caught:
        ask("http://reader:secret@127.0.0.1:1")
    assert "secret" not in str(caught.value)


def test_names_that_are_none_are_refused_before_anything_is_asked() -> None:
    metrics = PrometheusMetrics("http://127.0.0.1:1")
    for metric, label in (("up{} or vector", "loop"), ("up", "loop=~'.*',x")):
        with pytest.raises(ValueError, match="name"):
            metrics.increases(metric, {label: "a"}, END - timedelta(minutes=1), END)
    with pytest.raises(ValueError, match="duration"):
        PrometheusMetrics("http://127.0.0.1:1", lookback=timedelta(0))
