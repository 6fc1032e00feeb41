"""ingest and train as the pipeline calls them, on data that no code here knows, and bit for bit the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serinus import artifact, models, sources
from serinus.errors import DataError
from serinus.models import scoring
from serinus.steps import ingest, train
from tests import data_sets

PROGRAM = """
import json, sys
from pathlib import Path
from serinus.steps import train
out = Path(sys.argv[1])
print(json.dumps([
    train.run((out / f"{n}.json").read_text(), "", out / f"data{n}", out / sys.argv[2] / str(n))
    for n in range(int(sys.argv[3]))
]))
"""


@pytest.mark.parametrize(("make", "name"), data_sets.CASES, ids=lambda v: getattr(v, "__name__", v))
def test_from_files_to_an_answer(make: Any, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, frame = make(training=data_sets.training(name))
    (tmp_path / "data").mkdir()
    frame[:700].to_parquet(tmp_path / "data/a.parquet")
    frame[700:].to_csv(tmp_path / "data/b.csv", index=False)
    loop = spec.model_dump_json(by_alias=True)
    dataset = ingest.run(loop, str(tmp_path), tmp_path / "snapshot", data_sets.END)
    assert (dataset.rows, dataset.source) == (len(frame), "files data/")
    digest = train.run(loop, str(tmp_path), tmp_path / "snapshot", tmp_path / "model")
    model = artifact.load(tmp_path / "model")
    assert model.digest == digest
    assert model.contract.dataset == dataset
    said = artifact.reference(tmp_path / "model")
    assert said is not None
    assert said.rows == len(models.split(spec, frame)[1])
    assert set(said.sample) == {field.name for field in model.contract.fields}
    assert said.stretches is not None
    assert set(said.stretches.alike) >= {field.name for field in model.contract.fields}
    answers = scoring.answer(model.contract, model.estimator, models.frame(model.contract, model.contract.examples))
    np.testing.assert_allclose(answers.scores, model.contract.expected)
    if answers.labels is not None:
        assert set(answers.labels) <= set(frame[spec.spec.data.label])
    assert capsys.readouterr() == ("", "")


def test_another_process_with_other_threads_and_hashes_makes_the_same_bits(tmp_path: Path) -> None:
    for n, (make, name) in enumerate(data_sets.CASES):
        spec, frame = make(training=data_sets.training(name))
        (tmp_path / f"{n}.json").write_text(spec.model_dump_json(by_alias=True))
        sources.snapshot(frame, "made up", spec.spec.data.time, tmp_path / f"data{n}")
    digests = []
    for threads in ("1", "3"):
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED"), threads)
        found = subprocess.run(
            [sys.executable, "-c", PROGRAM, tmp_path, threads, str(len(data_sets.CASES))],
            capture_output=True,
            text=True,
            check=True,
            timeout=170,
            env=environment,
        )
        digests.append(json.loads(found.stdout))
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == len(data_sets.CASES)


def test_what_production_keeps_as_a_hash_only_is_not_kept_beside_the_model(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(400, collect={"hash": ["shop"]})
    sources.snapshot(frame, "made up", spec.spec.data.time, tmp_path / "data")
    train.run(spec.model_dump_json(by_alias=True), "", tmp_path / "data", tmp_path / "model")
    said = artifact.reference(tmp_path / "model")
    assert said is not None
    assert "shop" in {field.name for field in artifact.load(tmp_path / "model").contract.fields}
    assert set(said.sample) == {field.name for field in artifact.load(tmp_path / "model").contract.fields} - {"shop"}


def test_the_seed_and_the_parameters_are_part_of_the_model(tmp_path: Path) -> None:
    digests = set()
    changes: list[dict[str, Any]] = [{}, {"seed": 1}, {"params": {"n_estimators": 4}}]
    for n, more in enumerate(changes):
        spec, frame = data_sets.binary(training={"estimator": "random-forest", "params": {"n_estimators": 3}, **more})
        sources.snapshot(frame, "made up", "sold at", tmp_path / "data")
        digests.add(train.run(spec.model_dump_json(by_alias=True), "", tmp_path / "data", tmp_path / str(n)))
    assert len(digests) == 3


def test_the_number_of_jobs_changes_neither_trees_nor_answers(tmp_path: Path) -> None:
    models_ = []
    for jobs in (1, 2):
        spec, frame = data_sets.regression(
            training={"estimator": "random-forest", "params": {"n_estimators": 20, "n_jobs": jobs}}
        )
        sources.snapshot(frame, "made up", "day", tmp_path / "data")
        train.run(spec.model_dump_json(by_alias=True), "", tmp_path / "data", tmp_path / str(jobs))
        models_.append((tmp_path / str(jobs) / "model.skops").read_bytes())
    assert models_[0] == models_[1]


def test_ingest_without_a_folder_reads_absolute_places(tmp_path: Path) -> None:
    spec, frame = data_sets.binary(rows=30, source={"files": {"uri": str(tmp_path / "a.parquet")}})
    frame.to_parquet(tmp_path / "a.parquet")
    assert ingest.run(spec.model_dump_json(by_alias=True), "", tmp_path / "out", data_sets.END).rows == 30


def test_train_refuses_a_folder_that_is_no_snapshot(tmp_path: Path) -> None:
    spec, _ = data_sets.binary(rows=1)
    with pytest.raises(DataError, match="expected a snapshot"):
        train.run(spec.model_dump_json(by_alias=True), "", tmp_path, tmp_path / "model")
