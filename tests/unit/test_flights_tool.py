"""The flights' example for a cluster: images that hold what the loop names, and callers who count what they get."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

import serinus
from serinus import loading
from tools import flights


@pytest.fixture
def answers() -> Iterator[tuple[str, list[tuple[str, str, int]]]]:
    """The address of somebody who fails every fifth request, and what was asked: host, path, rows."""
    asked: list[tuple[str, str, int]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((self.headers["host"], self.path, len(body["instances"])))
            good = len(asked) % 5 != 0
            text = json.dumps({"model_version": "2"} if good else {"error": "no"}).encode()
            self.send_response(200 if good else 500)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_callers_name_the_loops_host_and_count_every_answer_by_who_gave_it(
    tmp_path: Path, answers: tuple[str, list[tuple[str, str, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = answers
    monkeypatch.setattr(flights, "PACE", 100.0)
    stop, file = threading.Event(), tmp_path / "answers.json"
    caller = threading.Thread(target=flights.call, args=(url, "flights.example", file, stop))
    caller.start()
    deadline = time.monotonic() + 60
    while len(asked) < 50 and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    caller.join(30)
    counted = json.loads(file.read_text())
    assert sum(counted.values()) == len(asked) >= 50
    assert counted["status 500"] == len(asked) // 5
    assert set(counted) == {"version 2", "status 500"}
    assert set(asked) == {("flights.example", "/v1/models/flight-delay:predict", flights.BATCH)}


def test_the_images_hold_the_rows_and_the_code_that_the_loop_names(tmp_path: Path) -> None:
    flights.images(tmp_path / "images")
    loop = loading.read(flights.ROOT / "examples" / "flights" / "kubernetes.yaml")
    files = loop.spec.data.source.files
    assert files is not None
    for name in ("pipeline", "predictor"):
        context = tmp_path / "images" / name
        dockerfile = (context / "Dockerfile").read_text()
        assert dockerfile.startswith(f"FROM serinus/{name}:{serinus.__version__}\n")
        assert "ENV PYTHONPATH=/opt/flights\n" in dockerfile
        assert (context / "faulty.py").is_file()
    assert f"COPY data {files.uri}\n" in (tmp_path / "images" / "pipeline" / "Dockerfile").read_text()
    rows = pd.read_parquet(tmp_path / "images" / "pipeline" / "data")
    wanted = {*loop.spec.data.features.numeric, *loop.spec.data.features.categorical, loop.spec.data.label}
    assert wanted < set(rows.columns)
    assert rows["time_hour"].max() < flights.LEARNED


def test_wrong_words_get_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert flights.main(["fly"]) == 2
    assert "images FOLDER" in capsys.readouterr().err
