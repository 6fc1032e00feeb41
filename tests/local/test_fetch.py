"""The storage initializer as KServe starts it, against a real MLflow server: all of a version, or a reason why not."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import httpx
import pytest
from mlflow.tracking import MlflowClient

from serinus import artifact
from serinus.adapters.mlflow import MlflowRegistry
from serinus.render import names
from tests.made_up_models import model_dir
from tests.servers.mlflow import free_port, mlflow, mlflow_uri  # noqa: F401

pytestmark = pytest.mark.xdist_group("mlflow")  # one server for them all
CONTENTS = {artifact.MODEL, artifact.CONTRACT, artifact.MANIFEST}


@pytest.fixture
def loop() -> str:
    return f"loop-{uuid4().hex[:12]}"  # the server is shared


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "mnt" / "models"


def start(uri: str, target: Path, url: str, patience: str = "0s") -> subprocess.Popen[str]:
    """The process, in surroundings as bare as those of a pod whose only writable place is the volume."""
    log = target.parent / "termination-log"
    target.mkdir(parents=True, exist_ok=True)
    log.touch()
    surroundings = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SERINUS_MLFLOW_URL": url,
        "SERINUS_FETCH_PATIENCE": patience,
        "SERINUS_TERMINATION_LOG": str(log),
    }
    argv = [sys.executable, "-m", "services.fetch", uri, str(target)]
    return subprocess.Popen(argv, env=surroundings, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(uri: str, target: Path, url: str, patience: str = "0s") -> tuple[int, str, str]:
    """(exit code, stderr, termination log)."""
    process = start(uri, target, url, patience)
    _, err = process.communicate(timeout=120)
    return process.returncode, err.strip(), (target.parent / "termination-log").read_text()


def refused(outcome: tuple[int, str, str], *words: str) -> None:
    """The reason is one sentence, the same for both who look: the log and the termination message."""
    code, err, message = outcome
    assert (code, err) == (1, message)
    assert "Traceback" not in message
    for word in words:
        assert word in message


def test_the_version_that_was_asked_for_is_there_whole_and_readable(
    mlflow_uri: str,  # noqa: F811
    loop: str,
    target: Path,
    tmp_path: Path,
) -> None:
    registry = MlflowRegistry(mlflow_uri)
    digests = [
        registry.register(loop, f"t{n}", model_dir(tmp_path / f"m{n}", f"model {n}".encode()), {}, {}).digest
        for n in (1, 2, 3)
    ]
    assert run(names.storage_uri(loop, 2), target, mlflow_uri) == (0, "", "")
    assert artifact.verify(target / "model") == digests[1]
    # By another user too: the predictor need not be ours.
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (target / "model", *(target / "model").iterdir())}
    assert all(mode & (0o555 if path.is_dir() else 0o444) == (0o555 if path.is_dir() else 0o444)
               for path, mode in modes.items())  # fmt: skip


def test_a_second_start_of_the_pod_keeps_what_is_there_and_asks_nobody(
    mlflow_uri: str,  # noqa: F811
    loop: str,
    target: Path,
    tmp_path: Path,
) -> None:
    MlflowRegistry(mlflow_uri).register(loop, "t1", model_dir(tmp_path / "m1"), {}, {})
    assert run(f"mlflow://{loop}/1", target, mlflow_uri)[0] == 0
    before = (target / "model").stat().st_ino
    assert run(f"mlflow://{loop}/1", target, f"http://127.0.0.1:{free_port()}") == (0, "", "")
    assert (target / "model").stat().st_ino == before


def test_a_model_that_was_changed_in_the_volume_is_fetched_again(
    mlflow_uri: str,  # noqa: F811
    loop: str,
    target: Path,
    tmp_path: Path,
) -> None:
    digest = MlflowRegistry(mlflow_uri).register(loop, "t1", model_dir(tmp_path / "m1"), {}, {}).digest
    assert run(f"mlflow://{loop}/1", target, mlflow_uri)[0] == 0
    (target / "model" / artifact.MODEL).write_bytes(b"evil")
    assert run(f"mlflow://{loop}/1", target, mlflow_uri)[0] == 0
    assert artifact.verify(target / "model") == digest


def test_another_version_replaces_the_one_that_is_there(
    mlflow_uri: str,  # noqa: F811
    loop: str,
    target: Path,
    tmp_path: Path,
) -> None:
    registry = MlflowRegistry(mlflow_uri)
    registry.register(loop, "t1", model_dir(tmp_path / "m1", b"one"), {}, {})
    second = registry.register(loop, "t2", model_dir(tmp_path / "m2", b"two"), {}, {}).digest
    for version in (1, 2):
        assert run(f"mlflow://{loop}/{version}", target, mlflow_uri)[0] == 0
    assert artifact.verify(target / "model") == second


def test_a_file_that_differs_from_the_manifest_is_refused_and_leaves_no_model(
    mlflow_uri: str,  # noqa: F811
    loop: str,
    target: Path,
    tmp_path: Path,
) -> None:
    MlflowRegistry(mlflow_uri).register(loop, "t1", model_dir(tmp_path / "m1"), {}, {})
    upload(mlflow_uri, loop, {artifact.MODEL: b"evil"}, tmp_path)
    refused(run(f"mlflow://{loop}/1", target, mlflow_uri), f"mlflow://{loop}/1", artifact.MODEL, "sha256")
    assert list(target.iterdir()) == []


def test_a_model_that_is_true_to_a_manifest_of_its_own_but_not_registered_is_refused(
    mlflow_uri: str,  # noqa: F811
    loop: str,
    target: Path,
    tmp_path: Path,
) -> None:
    registered = MlflowRegistry(mlflow_uri).register(loop, "t1", model_dir(tmp_path / "m1"), {}, {})
    other = model_dir(tmp_path / "other", b"evil")
    upload(mlflow_uri, loop, {name: (other / name).read_bytes() for name in CONTENTS}, tmp_path)
    refused(run(f"mlflow://{loop}/1", target, mlflow_uri), registered.digest, artifact.verify(other), "as registered")
    assert list(target.iterdir()) == []


def test_a_version_that_does_not_exist_is_said_at_once(mlflow_uri: str, loop: str, target: Path) -> None:  # noqa: F811
    began = time.monotonic()
    refused(run(f"mlflow://{loop}/7", target, mlflow_uri, "5m"), f"mlflow://{loop}/7", mlflow_uri, "not found")
    assert time.monotonic() - began < 60
    assert list(target.iterdir()) == []


@pytest.mark.parametrize(
    "uri", ["mlflow://", "mlflow://a", "mlflow://a/latest", "mlflow://a/0", "mlflow://a/1/../2", "s3://a/1"]
)
def test_an_address_of_another_form_is_answered_with_the_form(uri: str, target: Path) -> None:
    refused(run(uri, target, "http://127.0.0.1:1"), "expected mlflow://LOOP/VERSION", repr(uri))


@pytest.mark.parametrize(
    ("url", "patience", "name"),
    [
        ("", "1s", "SERINUS_MLFLOW_URL"),
        ("mlflow:5000", "1s", "SERINUS_MLFLOW_URL"),
        ("http://m", "soon", "SERINUS_FETCH_PATIENCE"),
    ],
)
def test_a_setting_that_is_wrong_is_named(url: str, patience: str, name: str, target: Path) -> None:
    refused(run("mlflow://a/1", target, url, patience), name, "expected")


def test_a_volume_that_cannot_be_written_is_named(mlflow_uri: str, tmp_path: Path) -> None:  # noqa: F811
    target = tmp_path / "mnt" / "models"
    target.parent.mkdir()
    target.write_text("a file where the volume should be")
    (tmp_path / "mnt" / "termination-log").touch()
    environment = {"SERINUS_MLFLOW_URL": mlflow_uri, "SERINUS_TERMINATION_LOG": str(target.parent / "termination-log")}
    found = subprocess.run(
        [sys.executable, "-m", "services.fetch", "mlflow://a/1", str(target)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 1
    assert str(target) in found.stderr
    assert "Traceback" not in found.stderr


def test_an_mlflow_that_stays_away_is_given_up_with_the_reason(target: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    refused(run("mlflow://a/1", target, url, "4s"), url, "gave up after", "4s", "refused")
    assert list(target.iterdir()) == []


def test_an_mlflow_that_comes_back_in_time_is_waited_for(loop: str, target: Path, tmp_path: Path) -> None:
    with mlflow(tmp_path / "server") as server:
        port = int(server.url.rsplit(":", 1)[1])
        digest = MlflowRegistry(server.url).register(loop, "t1", model_dir(tmp_path / "m1"), {}, {}).digest
    process = start(f"mlflow://{loop}/1", target, server.url, "2m")
    assert process.stdout is not None
    assert "trying again in 1 s" in process.stdout.readline()
    with mlflow(tmp_path / "server", port):
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert artifact.verify(target / "model") == digest


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_a_fetch_that_is_ended_half_way_leaves_no_model_and_the_next_start_cleans_up(
    mlflow_uri: str,  # noqa: F811
    loop: str,
    target: Path,
    tmp_path: Path,
    how: signal.Signals,
    code: int,
) -> None:
    content = b"a model " * 500_000
    digest = MlflowRegistry(mlflow_uri).register(loop, "t1", model_dir(tmp_path / "m1", content), {}, {}).digest
    with stalling(mlflow_uri) as (url, half):
        process = start(f"mlflow://{loop}/1", target, url, "1m")
        assert half.wait(60)
        until = time.monotonic() + 30
        while not any(path.stat().st_size for path in target.rglob(f"*{artifact.MODEL}*")):
            assert time.monotonic() < until, "nothing of the half that was sent is on the disk"
            time.sleep(0.02)
        assert not (target / "model").exists()
        process.send_signal(how)
        process.communicate(timeout=60)
    assert process.returncode == code
    assert not (target / "model").exists()
    assert run(f"mlflow://{loop}/1", target, mlflow_uri) == (0, "", "")
    assert artifact.verify(target / "model") == digest
    assert sorted(path.name for path in target.iterdir()) == [".fetched", "model"]


def upload(url: str, loop: str, files: dict[str, bytes], tmp_path: Path) -> None:
    """Put other files into the place of version 1's, as somebody with access to the artifact store can."""
    client = MlflowClient(url, url)
    evil = tmp_path / "evil"
    evil.mkdir()
    for name, content in files.items():
        (evil / name).write_bytes(content)
    client.log_artifacts(str(client.get_model_version(loop, "1").run_id), str(evil), "model")


@contextmanager
def stalling(upstream: str) -> Iterator[tuple[str, Event]]:
    """A way to `upstream` that sends half of the model's file and then nothing; the event says that it has."""
    half, over = Event(), Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = httpx.get(upstream + self.path, timeout=30)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["content-type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            if self.path.endswith(artifact.MODEL):
                self.wfile.write(answer.content[: len(answer.content) // 2])
                half.set()
                over.wait(60)
            else:
                self.wfile.write(answer.content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", half
        finally:
            over.set()
            server.shutdown()
