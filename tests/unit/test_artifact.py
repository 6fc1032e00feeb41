"""A model directory loads only whole, untouched, and with types that somebody allowed."""

from __future__ import annotations

import io
import json
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serinus import artifact, models, sources
from serinus.errors import ArtifactError
from serinus.facts import Cell, Condition, Contract, Measured, Reference, Region
from serinus.models import scoring
from tests import data_sets


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Contract]:
    """A small fitted model."""
    spec, frame = data_sets.binary(training={"estimator": "logistic-regression"})
    dataset = sources.snapshot(frame, "made up", spec.spec.data.time, tmp_path_factory.mktemp("data"))
    return models.fit(spec, frame, dataset, None)


@pytest.fixture
def saved(fitted: tuple[Any, Contract], tmp_path: Path) -> Path:
    artifact.save(tmp_path / "model", *fitted)
    return tmp_path / "model"


REFERENCE = Reference(
    300,
    {"roc_auc": Measured(0.75, 0.02, 0.71, 0.79, 300), "log_loss": Measured(0.5, 0.01, 0.48, 0.52, 300)},
    (Cell("returned", "kept", 31, 300, 94.5, 30.0), Cell(None, "kept", 0, 1, 0.0, 0.0)),
    (Region((Condition("weight", 1.0, None, missing=True), Condition("shop", categories=("café",))), 300, 0.2, 0.1),),
    {"weight": (1.5, None), "shop": ("café", None)},
)


@pytest.fixture
def referenced(fitted: tuple[Any, Contract], tmp_path: Path) -> Path:
    artifact.save(tmp_path / "referenced", *fitted, REFERENCE)
    return tmp_path / "referenced"


def _resealed(directory: Path, name: str, content: bytes) -> None:
    """Put `content` into the directory as an attacker who can write the manifest too."""
    (directory / name).write_bytes(content)
    manifest = json.loads((directory / "manifest.json").read_bytes())
    manifest["files"][name] = sha256(content).hexdigest()
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_what_is_loaded_answers_as_what_was_saved(fitted: tuple[Any, Contract], saved: Path) -> None:
    estimator, contract = fitted
    model = artifact.load(saved)
    assert model.contract == contract
    assert model.digest == artifact.verify(saved)
    rows = models.frame(contract, contract.examples)
    np.testing.assert_array_equal(
        scoring.score(model.contract, model.estimator, rows), scoring.score(contract, estimator, rows)
    )


def test_the_digest_is_the_sha256_of_the_manifest_and_the_manifest_names_the_two_files(saved: Path) -> None:
    manifest = (saved / "manifest.json").read_bytes()
    assert artifact.verify(saved) == sha256(manifest).hexdigest()
    assert json.loads(manifest) == {
        "format": "serinus-model/1",
        "files": {name: sha256((saved / name).read_bytes()).hexdigest() for name in ("contract.json", "model.skops")},
    }


def test_saving_twice_gives_the_same_bytes(fitted: tuple[Any, Contract], tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    assert artifact.save(first, *fitted) == artifact.save(second, *fitted)
    assert (first / "model.skops").read_bytes() == (second / "model.skops").read_bytes()


def test_what_the_holdout_said_lies_beside_the_model_and_is_part_of_its_digest(
    fitted: tuple[Any, Contract], referenced: Path, saved: Path, tmp_path: Path
) -> None:
    assert artifact.reference(referenced) == REFERENCE
    model = artifact.load(referenced)
    assert model.contract == fitted[1]
    assert model.digest == artifact.verify(referenced) != artifact.verify(saved)
    assert artifact.save(tmp_path / "again", *fitted, REFERENCE) == model.digest


def test_a_model_made_before_there_was_a_reference_loads_and_has_none(saved: Path) -> None:
    assert artifact.load(saved).digest == artifact.verify(saved)
    assert artifact.reference(saved) is None


def test_a_reference_is_read_without_the_estimator(referenced: Path) -> None:
    _resealed(referenced, "model.skops", b"nothing that skops could read")
    assert artifact.reference(referenced) == REFERENCE


def test_a_reference_that_came_or_went_after_the_model_was_made_is_found(referenced: Path, saved: Path) -> None:
    content = (referenced / "reference.json").read_bytes()
    (referenced / "reference.json").unlink()
    (saved / "reference.json").write_bytes(content)
    for directory in (referenced, saved):
        for check in (artifact.verify, artifact.load, artifact.reference):
            with pytest.raises(ArtifactError, match=r"manifest\.json: expected serinus-model/1 with .*, got"):
                check(directory)


def test_a_changed_reference_is_not_read(referenced: Path) -> None:
    changed = (referenced / "reference.json").read_bytes().replace(b"0.75", b"0.99")
    (referenced / "reference.json").write_bytes(changed)
    with pytest.raises(ArtifactError, match=r"reference\.json: expected sha256"):
        artifact.reference(referenced)


def test_two_loads_share_nothing(saved: Path) -> None:
    one, other = artifact.load(saved), artifact.load(saved)
    one.estimator[-1].coef_[:] = 0
    assert other.estimator[-1].coef_.any()


@pytest.mark.parametrize("name", ["model.skops", "contract.json"])
def test_a_changed_byte_is_found_and_its_file_named(saved: Path, name: str) -> None:
    data = bytearray((saved / name).read_bytes())
    data[len(data) // 2] ^= 1
    (saved / name).write_bytes(data)
    for check in (artifact.verify, artifact.load):
        with pytest.raises(ArtifactError, match=f"{name}: expected sha256 .*; the file was changed"):
            check(saved)


@pytest.mark.parametrize("name", ["model.skops", "contract.json", "manifest.json"])
def test_a_missing_file_is_found(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(
        ArtifactError, match=r"expected exactly contract\.json, manifest\.json, model\.skops and perhaps"
    ):
        artifact.load(saved)


def test_a_missing_directory_is_found(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="found nothing"):
        artifact.verify(tmp_path / "gone")


def test_a_file_too_many_is_found(saved: Path) -> None:
    (saved / "model.pkl").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"model\.pkl"):
        artifact.load(saved)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b'{"files": {}}',
        b'{"files": {}, "format": "serinus-model/1"}',
        b'{"files": {"contract.json": "", "model.skops": "", "../x": ""}, "format": "serinus-model/1"}',
        b'{"files": {"contract.json": "", "model.skops": ""}, "format": "serinus-model/2"}',
    ],
)
def test_a_manifest_that_is_none_is_refused(saved: Path, manifest: bytes) -> None:
    (saved / "manifest.json").write_bytes(manifest)
    with pytest.raises(ArtifactError, match=r"manifest\.json: expected"):
        artifact.verify(saved)


def test_a_model_cannot_be_saved_over_another(fitted: tuple[Any, Contract], saved: Path) -> None:
    with pytest.raises(ArtifactError, match="expected an empty directory"):
        artifact.save(saved, *fitted)


def test_a_type_on_no_list_is_refused_by_name_even_under_a_valid_manifest(saved: Path) -> None:
    """And what the contract says of trust allows nothing: its writer is the model's writer."""
    archive = io.BytesIO()
    with zipfile.ZipFile(saved / "model.skops") as source, zipfile.ZipFile(archive, "w") as target:
        for info in source.infolist():
            content = source.read(info)
            if info.filename == "schema.json":
                schema = json.loads(content)
                schema |= {"__module__": "subprocess", "__class__": "Popen"}
                content = json.dumps(schema).encode()
            target.writestr(info, content)
    _resealed(saved, "model.skops", archive.getvalue())
    contract = json.loads((saved / "contract.json").read_bytes())
    _resealed(saved, "contract.json", json.dumps(contract | {"trust": ["subprocess.Popen"]}).encode())
    with pytest.raises(ArtifactError, match=r"holds types that nobody allowed: subprocess\.Popen;"):
        artifact.load(saved)


def test_an_estimator_with_a_type_that_the_spec_does_not_trust_cannot_even_be_saved(
    fitted: tuple[Any, Contract], tmp_path: Path
) -> None:
    estimator, contract = fitted
    estimator = type(estimator)([("mine", Mine()), *estimator.steps])
    with pytest.raises(ArtifactError, match=r"nobody allowed: .*test_artifact\.Mine; .* spec\.training\.trust"):
        artifact.save(tmp_path / "model", estimator, contract)


def test_an_estimator_that_only_pickle_could_keep_is_refused(fitted: tuple[Any, Contract], tmp_path: Path) -> None:
    estimator = Mine()
    estimator.stream = (n for n in range(3))
    with pytest.raises(ArtifactError, match="without pickle"):
        artifact.save(tmp_path / "model", estimator, fitted[1])


class Mine:
    """A user's type."""

    stream: object = None
