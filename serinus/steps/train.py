"""train: from a snapshot to a model directory, with what the holdout says of the model beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from serinus import artifact, models, sources
from serinus.errors import ArtifactError
from serinus.models import importance, reference, scoring, stretches
from serinus.spec import ModelLoop


def run(loop: str, folder: str, dataset: Path, out: Path) -> str:
    """Fit on the snapshot in `dataset`, save the model in `out`, return its digest.

    loop: the ModelLoop as JSON. folder: where its file lies; "" where there is none.
    Raises SpecError or DataError when nothing can be fitted, ArtifactError when what was fitted cannot be kept or does
    not answer the same when it is loaded back.
    """
    spec = ModelLoop.model_validate_json(loop)
    code = Path(folder) if folder else None
    frame, about = sources.open_snapshot(dataset)
    estimator, contract = models.fit(spec, frame, about, code)
    learned, holdout = models.split(spec, frame)
    said = reference.make(contract, estimator, learned, holdout, seed=spec.spec.training.seed)
    hidden = spec.spec.collect.hash if spec.spec.collect is not None else ()
    # What production keeps as a hash only is not to be read here either, and could not be compared with hashes.
    said = replace(
        said,
        sample={name: values for name, values in said.sample.items() if name not in hidden},
        importance=importance.measure(
            contract, estimator, holdout, spec.spec.validation.metric, spec.spec.training.seed
        ),
        stretches=stretches.measure(spec, contract, estimator, learned, holdout),
    )
    digest = artifact.save(out, estimator, contract, said)
    _proven(artifact.load(out, spec.spec.training.trust, code))
    return digest


def _proven(model: artifact.Model) -> None:
    """A user's own type may lose some of its state on the way through the file: it must not get past this step."""
    contract = model.contract
    answers = scoring.score(contract, model.estimator, models.frame(contract, contract.examples))
    if not np.allclose(answers, contract.expected, rtol=1e-9, atol=1e-12):
        raise ArtifactError(
            f"{contract.estimator}: expected the saved model to answer {list(contract.expected)} for its examples,"
            f" as the fitted one did, got {answers.tolist()}; keep all state in attributes that hold arrays, numbers"
            " or text"
        )
