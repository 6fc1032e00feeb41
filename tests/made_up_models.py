"""Model directories and rollout records for tests that do not care what the model is."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from serinus import artifact, wire
from serinus.facts import Bins, Contract, Dataset, Evidence, Field, Profile, Reference, RolloutRecord, Verdict, Window

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


def record(version: int) -> RolloutRecord:
    """A canary that was thrown back."""
    evidence = {"errors": Evidence(log_harm=(float("-inf"), 1.0), peak_harm=1.0)}
    verdicts = (Verdict("errors", "fail", "10 % errors", {"canary": 0.1}),)
    return RolloutRecord(version, 1, "rolled-back", "errors: 10 % errors", NOW, NOW, verdicts, evidence, "ann")
