"""A model as a directory: `model.skops`, `contract.json`, mostly `reference.json` (what the holdout said of it; models
made before there was one have none), and `manifest.json`, which has the sha256 of each of the others.

No pickle: skops rebuilds the estimator from a description, and only from types on our own list or on the caller's.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serinus import usercode, wire
from serinus.errors import ArtifactError
from serinus.facts import Contract, Reference

MODEL, CONTRACT, REFERENCE, MANIFEST = "model.skops", "contract.json", "reference.json", "manifest.json"
FORMAT = "serinus-model/1"

# What the built-in estimators need beyond the types that skops itself holds safe (scikit-learn's own estimators and
# numpy). Each was looked at: none runs code that the file could choose.
TRUSTED = (
    "numpy.dtype",
    "serinus.models.encoders.Expand",
    "serinus.models.encoders.Fold",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)


@dataclass(frozen=True)
class Model:
    """A loaded model: what it promises, what answers, and the digest of the directory it came from."""

    contract: Contract
    estimator: Any
    digest: str


def save(directory: Path, estimator: object, contract: Contract, reference: Reference | None = None) -> str:
    """Write the model into the new or empty `directory` and return its digest: the sha256 of the manifest's bytes.

    The same fitted estimator, contract and reference give the same bytes in every process. Raises ArtifactError when
    the estimator cannot be kept without pickle, or holds types that `contract.trust` does not name: better here than
    when it should serve.
    """
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    directory.mkdir(parents=True, exist_ok=True)
    if present := sorted(path.name for path in directory.iterdir()):
        raise ArtifactError(f"{directory}: expected an empty directory to save a model in, found {', '.join(present)}")
    try:
        archive = _canonical(skops.io.dumps(estimator))
    except (UnsupportedTypeException, TypeError) as error:
        raise ArtifactError(f"{type(estimator).__name__}: cannot be kept as data, without pickle: {error}") from error
    _allowed(archive, contract.trust, contract.estimator)
    files = {MODEL: archive, CONTRACT: wire.dump(contract)}
    if reference is not None:
        files[REFERENCE] = wire.dump(reference)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    manifest = wire.dump({"format": FORMAT, "files": {name: _sha256(content) for name, content in files.items()}})
    (directory / MANIFEST).write_bytes(manifest)
    return _sha256(manifest)


def verify(directory: Path) -> str:
    """Check every file against the manifest and return the digest. Raises ArtifactError that names the file."""
    digest, _ = _checked(directory)
    return digest


def reference(directory: Path) -> Reference | None:
    """What the holdout said of the model in `directory`, verified like the rest; None of one made before there was any.

    The model itself is not loaded, so nobody needs to be trusted. Raises ArtifactError as `verify` does.
    """
    _, files = _checked(directory)
    return wire.load(Reference, files[REFERENCE]) if REFERENCE in files else None


def load(directory: Path, trust: Sequence[str] = (), code: Path | None = None) -> Model:
    """The model in `directory`, verified before anything of it is read; every call makes its own.

    trust: the user's own types that the file may hold, from the caller's ModelLoop (`training.trust`). Not from the
    contract: who can write a model can write its contract too, so what it says there allows nothing.
    code: the folder that these types are imported from, where they are not installed.

    Raises ArtifactError: a file differs from the manifest, is missing or too many; a type is on no list.
    """
    import skops.io

    digest, files = _checked(directory)
    contract = wire.load(Contract, files[CONTRACT])
    allowed = _allowed(files[MODEL], trust, str(directory / MODEL))
    if trust:
        usercode.reachable(code)
    try:
        estimator = skops.io.loads(files[MODEL], trusted=allowed)
    except ImportError as error:
        raise ArtifactError(f"{directory / MODEL}: a type it holds cannot be imported: {error}") from error
    return Model(contract, estimator, digest)


def _allowed(archive: bytes, trust: Sequence[str], where: str) -> list[str]:
    """Every type that may be loaded. Raises ArtifactError that names those in `archive` that may not."""
    import skops.io

    allowed = {*TRUSTED, *trust}
    if foreign := sorted(set(skops.io.get_untrusted_types(data=archive)) - allowed):
        raise ArtifactError(
            f"{where}: holds types that nobody allowed: {', '.join(foreign)};"
            " if they are yours, name them in spec.training.trust; if not, do not load it"
        )
    return sorted(allowed)


def _checked(directory: Path) -> tuple[str, dict[str, bytes]]:
    """The digest and the files' bytes: what was hashed is what is used, whatever happens to the disk meanwhile."""
    found = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    if found - {REFERENCE} != {MODEL, CONTRACT, MANIFEST}:
        raise ArtifactError(
            f"{directory}: expected exactly {CONTRACT}, {MANIFEST}, {MODEL} and perhaps {REFERENCE};"
            f" found {', '.join(sorted(found)) or 'nothing'}"
        )
    manifest = (directory / MANIFEST).read_bytes()
    try:
        content = json.loads(manifest)
        listed = dict(content["files"])
        form = content["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactError(
            f"{directory / MANIFEST}: expected a manifest of {FORMAT}, got {manifest[:80]!r}"
        ) from error
    if form != FORMAT or set(listed) != found - {MANIFEST}:
        raise ArtifactError(
            f"{directory / MANIFEST}: expected {FORMAT} with {', '.join(sorted(found - {MANIFEST}))},"
            f" got {form!r} with {sorted(listed)}"
        )
    files = {name: (directory / name).read_bytes() for name in listed}
    for name, data in files.items():
        if _sha256(data) != listed[name]:
            raise ArtifactError(
                f"{directory / name}: expected sha256 {listed[name]} as the manifest says, got {_sha256(data)};"
                " the file was changed after the model was made: fetch it again"
            )
    return _sha256(manifest), files


def _canonical(archive: bytes) -> bytes:
    """The skops archive without what differs from process to process: memory addresses as ids and file names, times.

    skops names objects by `id()` (skops 0.16, io/_utils.py). Here they are numbered as they are first met; plain
    values get a number each, since whether Python shares them is its own business.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        contents = {info.filename: source.read(info) for info in source.infolist()}
    schema = json.loads(contents.pop("schema.json"))
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}
    count = 0
    for node in _nodes(schema):
        if "__id__" in node:
            count += 1
            node["__id__"] = count if node.get("is_json") else numbers.setdefault(node["__id__"], count)
        if node.get("file") in contents:
            node["file"] = names.setdefault(node["file"], f"{len(names)}{Path(node['file']).suffix}")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as target:
        for name, content in [
            ("schema.json", json.dumps(schema, sort_keys=False, separators=(",", ":")).encode()),
            *((names[old], contents[old]) for old in names),
        ]:
            target.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)
    return packed.getvalue()


def _nodes(value: object) -> Iterable[dict[str, Any]]:
    """Every JSON object in `value`, in the order of the document."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _nodes(item)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
