"""register: the validated model becomes a version, with its evidence, its origin and its rows beside it."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from serinus import artifact, environment, papers, wire
from serinus.decide import keys
from serinus.decide.champion import refusals
from serinus.errors import GateFailed
from serinus.facts import Dataset, Evaluation, Origin, Version, Why
from serinus.ports import ModelStore
from serinus.sources.snapshot import ABOUT, DATA
from serinus.spec import ModelLoop
from serinus.steps.validate import PAGE, REPORT

KEEP = "SERINUS_KEEP_DATASET_BYTES"
"""The largest snapshot that is kept with its version, so that the version can be made again; 0: none is."""
KEPT = 256 * 2**20


def run(
    loop: str, trigger: str, dataset: Path, candidate: Path, evaluation: Path, store: ModelStore, *, why: str = ""
) -> Version:
    """Register the model in `candidate` under the key `trigger`; the same trigger twice gives the same version.

    loop: the ModelLoop as JSON. evaluation: the folder that validate wrote; its files are kept beside the model, and so
    are `origin.json` and, unless they are too large, the rows (folder `dataset`). why: what the run was asked for
    (`facts.Why` as JSON), kept in the origin; "" where nobody said.
    Raises GateFailed unless the evaluation passed and is of this very model and data; ArtifactError for a model that
    was changed; Unavailable when the store could not be asked.
    """
    spec = ModelLoop.model_validate_json(loop)
    judged = wire.load(Evaluation, (evaluation / REPORT).read_bytes())
    about = wire.load(Dataset, (dataset / ABOUT).read_bytes())
    digest = artifact.verify(candidate)
    if reasons := _objections(judged, about, digest):
        raise GateFailed("register", reasons)
    tags = {
        "metric": judged.metric,
        "dataset": about.version,
        "source": about.source,
        "window_start": about.window.start.isoformat(),
        "window_end": about.window.end.isoformat(),
        "rows": str(about.rows),
        "digest": digest,
        "estimator": spec.spec.training.python or str(spec.spec.training.estimator),
    }
    figures = {judged.metric: judged.candidate, **judged.metrics}
    if judged.difference is not None and judged.interval is not None:
        low, high = judged.interval
        figures |= {"difference": judged.difference, "difference_low": low, "difference_high": high}
    figures |= {f"fairness gap {gap.column}": gap.gap for gap in judged.fairness}
    metrics = {name: figure for name, figure in figures.items() if math.isfinite(figure)}
    origin = _origin(spec, loop, trigger, candidate, digest, dataset, about)
    if why:
        origin = replace(origin, why=wire.load(Why, why.encode()))
    with tempfile.TemporaryDirectory(prefix="papers-") as folder:
        extras = _extras(Path(folder), evaluation, origin, dataset)
        return store.register(spec.name, trigger, candidate, {**tags, **_told(origin)}, metrics, extras)


def _origin(
    spec: ModelLoop, loop: str, trigger: str, candidate: Path, digest: str, dataset: Path, about: Dataset
) -> Origin:
    manifest = json.loads((candidate / artifact.MANIFEST).read_bytes())
    return Origin(
        run=trigger,
        cause=keys.cause(spec.name, trigger),
        spec=loop,
        digest=digest,
        files=manifest["files"],
        dataset=about,
        kept=(dataset / DATA).stat().st_size <= int(os.environ.get(KEEP) or KEPT),
        code=environment.code(spec),
    )


def _told(origin: Origin) -> Mapping[str, str]:
    """What a person finds on the version's page of what `origin.json` says."""
    code = origin.code
    said = {"release": code.release, "revision": code.revision, "lock": code.lock, "image": code.image}
    return {"cause": origin.cause, **{name: value for name, value in said.items() if value}}


def _extras(folder: Path, evaluation: Path, origin: Origin, dataset: Path) -> Path:
    """The files to be kept beside the model. The registry makes the model card from them."""
    for path in evaluation.iterdir():
        shutil.copy(path, folder / (papers.EVALUATION_PAGE if path.name == PAGE else path.name))
    (folder / papers.ORIGIN).write_bytes(wire.dump(origin))
    if origin.kept:
        (folder / papers.ROWS).mkdir()
        for name in (DATA, ABOUT):
            shutil.copy(dataset / name, folder / papers.ROWS / name)
    return folder


def _objections(judged: Evaluation, about: Dataset, digest: str) -> list[str]:
    """A step that starts although the gate before it said no, or with another run's files, registers nothing."""
    reasons = refusals(judged.verdicts)
    if not judged.verdicts:
        reasons.append("the evaluation has no verdict; run validate again")
    if judged.digest != digest:
        reasons.append(f"the evaluation is of the model {judged.digest[:12]}, the candidate is {digest[:12]}")
    if judged.dataset != about.version:
        reasons.append(f"the evaluation is on the dataset {judged.dataset[:12]}, the run's is {about.version[:12]}")
    return reasons
