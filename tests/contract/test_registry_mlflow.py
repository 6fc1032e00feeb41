"""What only the real MLflow server can show: crashes, meddling, and what a person finds in its pages."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from mlflow.tracking import MlflowClient

from serinus import artifact, wire
from serinus.adapters.mlflow import MlflowRegistry
from serinus.errors import ArtifactError, Unavailable
from serinus.facts import RolloutRecord
from services.local import mlflow_server
from tests.made_up_models import model_dir, record
from tests.servers.mlflow import mlflow, mlflow_uri  # noqa: F401

pytestmark = pytest.mark.xdist_group("mlflow")  # one server for them all


@pytest.fixture
def loop() -> str:
    return f"loop-{uuid4().hex[:12]}"  # the server is shared


@pytest.fixture
def client(mlflow_uri: str) -> MlflowClient:  # noqa: F811
    return MlflowClient(mlflow_uri, mlflow_uri)


@pytest.fixture
def real(mlflow_uri: str) -> MlflowRegistry:  # noqa: F811
    return MlflowRegistry(mlflow_uri)


def test_a_person_finds_everything_in_mlflow(
    real: MlflowRegistry, client: MlflowClient, loop: str, tmp_path: Path
) -> None:
    extras = tmp_path / "extras"
    extras.mkdir()
    (extras / "evaluation.html").write_text("<p>curves</p>")
    metrics = {"roc_auc": 0.75, "roc_auc origin=JFK": 0.5}
    real.register(loop, "t1", model_dir(tmp_path / "model"), {"who": "ann"}, metrics, extras)
    real.record(loop, record(1))
    version = client.get_model_version(loop, "1")
    assert version.tags["who"] == "ann"
    assert version.tags["serinus.trigger"] == "t1"
    assert version.tags["serinus.rollout.outcome"] == "rolled-back"
    assert version.tags["serinus.rollout.reason"] == "errors: 10 % errors"
    assert version.description == (
        "logistic-regression, 2 rows of files data/, 2026-01-02 03:04 to 2026-01-02 03:04 UTC;"
        " rolled-back 2026-01-02 03:04 UTC: errors: 10 % errors; approved by ann"
    )
    assert version.run_id
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"roc_auc": 0.75, "roc_auc origin_JFK": 0.5}
    assert run.data.params["estimator"] == "logistic-regression"
    names = {f.path for folder in ("", "model") for f in client.list_artifacts(version.run_id, folder)}
    assert names == {
        "card.html", "card.md", "evaluation.html", "rollout.json", "rollouts.json",
        "model", "model/model.skops", "model/contract.json", "model/manifest.json",
    }  # fmt: skip
    kept = Path(client.download_artifacts(version.run_id, "rollout.json", str(tmp_path))).read_bytes()
    assert wire.load(RolloutRecord, kept) == record(1)
    real.refuse(loop, "t2", "check", "w" * 20_000)
    (refused,) = client.search_runs([run.info.experiment_id], "attributes.status = 'FAILED'")
    assert refused.data.tags["serinus.trigger"] == "t2"
    assert refused.data.tags["serinus.reason"] == "w" * 8000


@pytest.mark.parametrize("verb", ["create_model_version", "set_registered_model_alias", "log_artifacts"])
def test_a_registration_that_was_cut_short_is_completed_by_the_next(
    real: MlflowRegistry, client: MlflowClient, loop: str, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_dir(tmp_path / "model")

    def killed(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, verb, killed)
        with pytest.raises(KeyboardInterrupt):
            real.register(loop, "t1", model, {}, {"roc_auc": 0.75})
    made = MlflowRegistry(real.uri).register(loop, "t1", model, {}, {"roc_auc": 0.75})
    assert (made.number, made.aliases) == (1, frozenset({"challenger"}))
    assert len(real.versions(loop)) == 1
    experiment = client.get_experiment_by_name(loop)
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 1
    assert artifact.verify(real.fetch(loop, 1, tmp_path / "into")) == made.digest


def test_a_version_whose_creation_was_answered_too_late_is_not_doubled(
    real: MlflowRegistry, loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = MlflowClient.create_model_version

    def lost(self: MlflowClient, *args: Any, **kwargs: Any) -> object:
        create(self, *args, **kwargs)  # its answer never came, and the request was sent again
        return create(self, *args, **kwargs)

    monkeypatch.setattr(MlflowClient, "create_model_version", lost)
    made = real.register(loop, "t1", model_dir(tmp_path / "model"), {}, {})
    assert [v.number for v in real.versions(loop)] == [1] == [made.number]


def test_a_registration_with_patience_rides_out_a_server_that_is_killed(loop: str, tmp_path: Path) -> None:
    with mlflow(tmp_path / "server") as server:
        port = int(server.url.rsplit(":", 1)[1])
        patient = MlflowRegistry(server.url, retries=5)
        patient.register(loop, "t1", model_dir(tmp_path / "m1"), {}, {})
        server.process.kill()
        server.process.wait()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(patient.register, loop, "t2", model_dir(tmp_path / "m2"), {}, {})
        with mlflow(tmp_path / "server", port):
            assert asked.result(timeout=60).number == 2
            assert [(v.number, v.trigger) for v in patient.versions(loop)] == [(1, "t1"), (2, "t2")]


def test_a_model_changed_on_the_server_is_refused(
    real: MlflowRegistry, client: MlflowClient, loop: str, tmp_path: Path
) -> None:
    real.register(loop, "t1", model_dir(tmp_path / "model"), {}, {})
    run = client.get_model_version(loop, "1").run_id
    assert run
    client.log_artifacts(run, str(model_dir(tmp_path / "evil", b"evil")), "model")  # true to its own manifest
    with pytest.raises(ArtifactError, match="as registered"):
        real.fetch(loop, 1, tmp_path / "models" / "1")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_fetch_that_is_cut_short_leaves_nothing_behind(
    real: MlflowRegistry, loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real.register(loop, "t1", model_dir(tmp_path / "model"), {}, {})
    models = tmp_path / "models"
    models.mkdir()
    (models / ".1.999999999.killed.part").mkdir()  # of a process that is no more

    def cut(self: MlflowClient, run: str, path: str, folder: str) -> str:
        (Path(folder) / path).mkdir()
        (Path(folder) / path / artifact.MODEL).write_bytes(b"a mo")
        raise ConnectionError

    monkeypatch.setattr(MlflowClient, "download_artifacts", cut)
    with pytest.raises(ConnectionError):
        real.fetch(loop, 1, models / "1")
    assert list(models.iterdir()) == []


def test_versions_that_others_made_or_deleted_are_seen_at_once(
    real: MlflowRegistry, client: MlflowClient, loop: str, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        real.register(loop, f"t{number}", model_dir(tmp_path / f"m{number}"), {}, {})
        assert [v.number for v in real.versions(loop)] == list(range(1, number + 1))
    client.delete_model_version(loop, "2")
    assert [v.number for v in real.versions(loop)] == [1, 3]
    client.set_registered_model_alias(loop, "champion", "1")
    assert [v.aliases for v in real.versions(loop)] == [{"champion"}, {"challenger"}]
    run = client.get_model_version(loop, "1").run_id
    client.create_model_version(loop, f"runs:/{run}/model", run_id=run, tags={"serinus.metrics": "by hand"})
    assert [(v.number, v.trigger, v.metrics) for v in real.versions(loop)][-1] == (4, "", {})


def test_an_experiment_that_a_person_deleted_comes_back(real: MlflowRegistry, client: MlflowClient, loop: str) -> None:
    real.refuse(loop, "t1", "check", "why")
    experiment = client.get_experiment_by_name(loop)
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    real.refuse(loop, "t2", "check", "why")
    assert real.reason(loop, "t2") == ("check", "why")


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>log in</html>"), (200, b"{}"), (404, b"not here"), (503, b"{}")]
)
def test_another_program_on_the_port_is_no_answer(status: int, body: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Retry-After", "600")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        start = monotonic()
        with pytest.raises(Unavailable):
            MlflowRegistry(f"http://127.0.0.1:{server.server_port}").versions("a")
        assert monotonic() - start < 5
        server.shutdown()


def test_the_server_is_started_with_the_variables_that_mlflow_reads() -> None:
    from mlflow.server import constants

    launch = mlflow_server.launch("127.0.0.1", 5000, Path("/state"))
    assert launch.url == "http://127.0.0.1:5000"
    assert {name for name in launch.env if name.startswith("_MLFLOW_SERVER_")} == {
        constants.BACKEND_STORE_URI_ENV_VAR,
        constants.REGISTRY_STORE_URI_ENV_VAR,
        constants.ARTIFACT_ROOT_ENV_VAR,
        constants.ARTIFACTS_DESTINATION_ENV_VAR,
        constants.SERVE_ARTIFACTS_ENV_VAR,
    }
