"""What an auditor asks of a version that the real pipeline made and a person let in: real steps, MLflow and trail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner, Result

from pipelines.compile import COMPILED
from serinus import artifact, wire
from serinus.adapters.audit_file import FileAudit
from serinus.adapters.fakes.metrics import FakeMetrics
from serinus.adapters.fakes.router import FakeRouter
from serinus.adapters.file_ledger import FileLedger
from serinus.adapters.kfp_local import LocalRunner
from serinus.adapters.mlflow import MlflowRegistry
from serinus.facts import Lineage, Request, Status
from services import driver
from services.cli.main import app
from services.driver import Ports
from services.trail import Trail
from tests import data_sets
from tests.servers.mlflow import mlflow_uri  # noqa: F401  (a fixture)
from tests.servers.patience import wait_for

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("governance")]

CODE = '''
"""A user's own training function."""

from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.impute import SimpleImputer


def fit(X, y, params):
    numbers = make_column_transformer((SimpleImputer(), ["weight", "price"]))
    return make_pipeline(numbers, LogisticRegression(C=1.0, max_iter=500)).fit(X, y)
'''


@dataclass(frozen=True)
class Audited:
    """A loop whose first version was trained, let in by ann, and serves."""

    loop: str
    uri: str
    state: Path
    code: Path
    digest: str

    def cli(self, *words: str) -> Result:
        return CliRunner().invoke(app, [*words, "--state", str(self.state)], catch_exceptions=False)

    def mlflow(self, *words: str) -> Result:
        return self.cli(*words, "--mlflow", self.uri)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Audited:  # noqa: F811
    folder = tmp_path_factory.mktemp("governance")
    state, code = folder / "state", folder / "code"
    (code / "data").mkdir(parents=True)
    state.mkdir()
    loop, frame = data_sets.binary(training={"python": "ours:fit"}, approval="required")
    loop = loop.model_copy(update={"metadata": loop.metadata.model_copy(update={"name": "parcels-audited"})})
    frame.to_csv(code / "data" / "rows.csv", index=False)
    (code / "ours.py").write_text(CODE)
    (state / "loop").write_text(loop.name)
    registry, ledger = MlflowRegistry(mlflow_uri), FileLedger(state / "ledger")
    ports = Ports(
        FakeMetrics(), FakeRouter(), registry, LocalRunner(state / "runs", COMPILED, mlflow_uri, code), ledger,
        Trail(FileAudit(state / "audit.jsonl")),
    )  # fmt: skip
    since = datetime.now(UTC)

    def look() -> Status:
        return driver.look(loop.name, lambda: loop, ports, datetime.now(UTC), since).plan.status

    def over(status: Status) -> bool:
        return status.waiting is not None or status.last_run is not None

    said = wait_for(look, over, 180)
    assert said.waiting == 1, said.last_run
    ledger.ask(loop.name, Request("r1", "approve", datetime.now(UTC), "ann", 1, "seen by the board"))
    wait_for(look, lambda status: status.champion == 1, 60)
    (version,) = registry.versions(loop.name)
    return Audited(loop.name, mlflow_uri, state, code, version.digest)


def test_the_lineage_of_a_version_says_where_it_comes_from_and_what_became_of_it(audited: Audited) -> None:
    result = audited.mlflow("lineage", "1")
    assert result.exit_code == 0, result.output
    for said in (
        "parcels-audited version 1",
        "cause  initial",
        "asked by  the loop itself",
        "rows  1,200",
        "the rows themselves  kept",
        "linear algebra  openblas 0.",
        "estimator  ours:fit",
        f"digest  {audited.digest}",
        "ann let it in.",
        "beside  nobody: it was the first",
        "100 %  ",
        "until now",
        "of which none was changed or removed",
    ):
        assert said in result.output, result.output
    found = wire.load(Lineage, audited.mlflow("lineage", "1", "-o", "json").stdout.encode())
    origin = found.papers.origin
    assert origin is not None
    assert (origin.digest, origin.dataset.rows, origin.kept) == (audited.digest, 1200, True)
    assert origin.code.own, "the digest of the user's own code"
    assert len(origin.code.lock) == 64
    assert origin.files.keys() >= {artifact.MODEL, artifact.CONTRACT}
    assert json.loads(origin.spec)["spec"]["training"]["python"] == "ours:fit"
    assert [each.outcome for each in found.papers.rollouts] == ["promoted"]
    assert found.approved_by == "ann"


def test_a_person_finds_the_card_in_mlflow(audited: Audited, tmp_path: Path) -> None:
    client = MlflowClient(audited.uri, audited.uri)
    version = client.get_model_version(audited.loop, "1")
    assert version.run_id
    assert "promoted" in (version.description or "")
    assert "approved by ann" in (version.description or "")
    for name in ("card.md", "card.html"):
        text = Path(client.download_artifacts(version.run_id, name, str(tmp_path))).read_text()
        for said in ("parcels-audited, version 1", "ann let it in.", "It was promoted at", audited.digest, "roc_auc"):
            assert said in text, name
    kept = {each.path for each in client.list_artifacts(version.run_id)}
    assert kept >= {"origin.json", "evaluation.json", "evaluation.html", "rollouts.json", "dataset", "model"}


def test_a_version_is_made_again_to_the_bit_from_what_is_kept_with_it(
    audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")  # somebody's, with other last bits than any newer processor's
    result = audited.mlflow("reproduce", "1", "--code", str(audited.code))
    assert result.exit_code == 0, result.output
    assert f"is the same to the bit: digest {audited.digest}" in result.output.replace("\n", " ")
    assert "What runs here is not what ran then" not in result.output


def test_other_code_makes_another_model_and_the_answer_says_what_differs_and_why(
    audited: Audited, tmp_path: Path
) -> None:
    (tmp_path / "ours.py").write_text(CODE.replace("C=1.0", "C=0.01"))
    result = audited.mlflow("reproduce", "1", "--code", str(tmp_path), "-o", "json")
    assert result.exit_code == 1, result.output
    found = json.loads(result.stdout)
    assert (found["equal"], found["digest"]) == (False, audited.digest)
    assert "model.skops differs" in found["differing"]
    assert any(place.startswith("contract.json differs: expected[0] was ") for place in found["differing"])
    assert any(each.startswith("digest of the loop's own code: ") for each in found["unlike"])


def test_a_training_that_fails_says_why(audited: Audited, tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text("def fit(X, y, params):\n    raise ValueError('the licence is over')\n")
    result = audited.mlflow("reproduce", "1", "--code", str(tmp_path))
    assert result.exit_code == 1
    assert "the licence is over" in result.output


def test_a_version_that_is_not_there_has_no_lineage(audited: Audited) -> None:
    result = audited.mlflow("lineage", "7")
    assert result.exit_code == 1
    assert "7" in result.output


def test_the_trail_is_whole_and_its_export_is_looked_through_anywhere(audited: Audited, tmp_path: Path) -> None:
    result = audited.cli("audit", "verify")
    assert result.exit_code == 0, result.output
    assert "None was changed" in result.output
    out = tmp_path / "trail.jsonl"
    assert audited.cli("audit", "export", "--out", str(out)).exit_code == 0
    assert out.read_bytes() == (audited.state / "audit.jsonl").read_bytes()
    told = [json.loads(line)["deed"] for line in out.read_text().splitlines()]
    assert ("Approved", "ann") in [(deed["kind"], deed["by"]) for deed in told]
    assert audited.cli("audit", "verify", str(out)).exit_code == 0
    out.write_text(out.read_text().replace("ann", "eve"))
    result = audited.cli("audit", "verify", str(out))
    assert result.exit_code == 1
    assert "was changed" in result.output


def test_the_pages_program_removes_the_rows_of_a_version_and_nothing_else_of_it(
    audited: Audited, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "governance.md").read_text()
    first, _ = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    program = first.replace('"flight-delay"', '"parcels-audited"').replace('"3"', '"1"')
    environment = {**os.environ, "MLFLOW_TRACKING_URI": audited.uri}
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, check=True)
    result = audited.mlflow("reproduce", "1")
    assert result.exit_code == 1
    assert "were not kept with it" in result.output
    assert audited.mlflow("lineage", "1").exit_code == 0
