"""From a model directory to a model that may be let near callers: verified, warm, and answering as it once did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from serinus import artifact
from serinus.errors import ArtifactError, SerinusError
from services.predictor.inputs import Inputs, inputs, read
from services.predictor.model import ask

TOLERANCE = 1e-6  # relative; the same model on another CPU may differ in the last bits


def opened(
    directory: Path,
    loop: str,
    *,
    trust: Sequence[str],
    code: Path | None,
    accept_unseen: bool,
    max_rows: int,
    key: str = "",
) -> tuple[artifact.Model, Inputs]:
    """The verified model and the checks of its inputs.

    Raises ArtifactError: the directory is not what its manifest says, the model belongs to another loop, or it does
    not answer its own examples as it did when it was made.
    """
    try:
        loaded = artifact.load(directory, trust=trust, code=code)
    except SerinusError:
        raise
    except Exception as error:  # a user's own types may fail to import in any way
        raise ArtifactError(f"{directory}: the model cannot be loaded: {type(error).__name__}: {error}") from error
    if loaded.contract.loop != loop:
        raise ArtifactError(f"{directory}: expected a model of loop {loop!r}, got one of {loaded.contract.loop!r}")
    checks = inputs(loaded.contract, accept_unseen, max_rows, key)
    _smoke(directory, loaded, checks)
    return loaded, checks


def _smoke(directory: Path, loaded: artifact.Model, checks: Inputs) -> None:
    """Ask the examples one by one, as callers do, and all at once. This is the warm-up too."""
    contract = loaded.contract
    if not contract.examples or len(contract.examples) != len(contract.expected):
        raise ArtifactError(
            f"{directory}: expected examples with a score each to try the model on,"
            f" got {len(contract.examples)} examples and {len(contract.expected)} scores"
        )
    try:
        rows = read(checks, "v1", {"instances": list(contract.examples)}).rows
        singly = np.concatenate([ask(loaded, [row]).scores for row in rows])
        together = ask(loaded, rows).scores
    except Exception as error:
        raise ArtifactError(f"{directory}: the model fails on its own examples: {error}") from error
    for way, scores in (("one by one", singly), ("together", together)):
        for index, (score, expected) in enumerate(zip(scores, contract.expected, strict=True)):
            if not np.isclose(score, expected, rtol=TOLERANCE, atol=1e-9):
                raise ArtifactError(
                    f"{directory}: expected the score {expected:.9g} for example {index} as when the model was made,"
                    f" got {score:.9g} ({way}); library versions differ, or the model is not deterministic"
                )
