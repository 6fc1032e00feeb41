"""Model directories and rollout records for tests that do not care what the model is."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from serinus import artifact, papers, wire
from serinus.facts import (
    Bins,
    Code,
    Contract,
    Dataset,
    Evaluation,
    Evidence,
    Field,
    Origin,
    Profile,
    Reference,
    RolloutRecord,
    Verdict,
    Window,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def model_dir(folder: Path, content: bytes = b"a model", reference: Reference | None = None) -> Path:
    """A directory that is true to its manifest; nothing here reads the model itself."""
    profile = Profile(2, (Bins("temp", "numeric", (1.0,), counts=(1, 1, 0, 0)),), Bins("score", "numeric"))
    dataset = Dataset("d" * 64, "files data/", Window(NOW, NOW), 2, {"temp": "double", "late": "int64"})
    contract = Contract(
        "any", "binary-classification", (Field("temp", "numeric", nullable=False),), "late", ("0", "1"), "1", profile,
        dataset, ({"temp": 1.0},), (0.5,), "logistic-regression", {"C": 1.0, "note": "x" * 9000}, 0, (),
    )  # fmt: skip
    files = {artifact.MODEL: content, artifact.CONTRACT: wire.dump(contract)}
    if reference is not None:
        files[artifact.REFERENCE] = wire.dump(reference)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    files[artifact.MANIFEST] = wire.dump({"format": artifact.FORMAT, "files": sums})
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def papers_of(folder: Path, model: Path) -> tuple[Path, tuple[Evaluation, Origin]]:
    """The folder that register would keep beside `model`, and what is in it; nothing here reads the rows."""
    contract = wire.load(Contract, (model / artifact.CONTRACT).read_bytes())
    digest = hashlib.sha256((model / artifact.MANIFEST).read_bytes()).hexdigest()
    evaluation = Evaluation(
        "roc_auc", True, 100, 0.7, None, 0.5, metrics={"roc_auc": 0.7}, digest=digest, dataset=contract.dataset.version,
        verdicts=(Verdict("minimum", "pass", "It is enough."),),
    )  # fmt: skip
    spec = '{"metadata":{"name":"any"},"spec":{"approval":"required"}}'
    code = Code("0.1.0", "abc1234", "s" * 64, "", "l" * 64, "serinus/pipeline:0.1.0", "3.11.2", {"numpy": "1.26.4"})
    origin = Origin("t1", "manual", spec, digest, {artifact.MODEL: "m" * 64}, contract.dataset, kept=True, code=code)
    (folder / papers.ROWS).mkdir(parents=True)
    (folder / papers.EVALUATION).write_bytes(wire.dump(evaluation))
    (folder / papers.ORIGIN).write_bytes(wire.dump(origin))
    (folder / papers.ROWS / "data.parquet").write_bytes(b"rows")
    (folder / papers.ROWS / "dataset.json").write_bytes(wire.dump(contract.dataset))
    return folder, (evaluation, origin)


def record(version: int) -> RolloutRecord:
    """A canary that was thrown back."""
    evidence = {"errors": Evidence(log_harm=(float("-inf"), 1.0), peak_harm=1.0)}
    verdicts = (Verdict("errors", "fail", "10 % errors", {"canary": 0.1}),)
    return RolloutRecord(version, 1, "rolled-back", "errors: 10 % errors", NOW, NOW, verdicts, evidence, "ann")
