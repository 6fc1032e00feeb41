"""How the command line reaches what is kept of a loop on a cluster: where, as whom, and what it says when it cannot."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from serinus.adapters.kube import Kube
from tests.unit.cli_state import EXAMPLE, serinus

Asked = list[tuple[str, str, str]]


@contextlib.contextmanager
def cluster() -> Iterator[tuple[str, Asked]]:
    """An API server with the example's ModelLoop, and a collector that has nothing: (address, what was asked)."""
    asked: Asked = []
    loop = {**yaml.safe_load(EXAMPLE.read_text()), "status": {}}
    made = {"creationTimestamp": "2026-01-01T00:00:00Z", "uid": "1", "resourceVersion": "1", "generation": 1}
    loop["metadata"] |= {"namespace": "prod", **made}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(loop)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._answer([])

        def _answer(self, content: Any) -> None:
            asked.append((self.command, self.path, self.headers.get("authorization", "")))
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(folder: Path, url: str, user: dict[str, str]) -> Path:
    file = folder / "kubeconfig"
    context = {"cluster": "c", "user": "u", "namespace": "prod"}
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "here", "context": context}],
            }
        )
    )
    return file


def test_the_collector_is_asked_about_the_loop_s_namespace_with_the_token_of_the_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cluster() as (url, asked):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url, {"token": "of-the-kubeconfig"})))
        result = serinus("which", "a", "--loop", "flight-delay", "--collector", url)
        assert (result.exit_code, "keeps nothing of prediction a" in result.output) == (1, True)
        assert asked[-1] == ("POST", "/loops/prod/flight-delay/find", "Bearer of-the-kubeconfig")
        (tmp_path / "token").write_text("of-the-file\n")
        words = ("--collector", url, "--token", tmp_path / "token", "-n", "other")
        result = serinus("quality", "--loop", "flight-delay", *words)
        assert (result.exit_code, "has kept no answers" in result.output) == (0, True)
        assert ("POST", "/loops/other/flight-delay/tally", "Bearer of-the-file") in asked


@pytest.mark.parametrize(
    ("user", "words", "text"),
    [
        ({"token": "t"}, (), "expected --collector URL beside --loop"),
        ({}, ("--collector", "http://127.0.0.1:9"), "the kubeconfig knows you by no token: name a file with one"),
        ({"token": "t"}, ("--collector", "http://127.0.0.1:9"), "the collector at http://127.0.0.1:9 cannot be asked"),
    ],
)
def test_what_lacks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: dict[str, str], words: tuple[str, ...], text: str
) -> None:
    with cluster() as (url, _):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url, user)))
        result = serinus("which", "a", "--loop", "flight-delay", *words)
    assert result.exit_code == 1
    assert text in result.output


def test_a_token_is_known_with_and_without_its_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for user, token in (({"token": "abc"}, "abc"), ({}, "")):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "http://127.0.0.1:9", user)))
        assert Kube.connect().token() == token
