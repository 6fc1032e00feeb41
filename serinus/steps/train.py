"""train: from a snapshot to a model directory."""

from __future__ import annotations

from pathlib import Path

from serinus import artifact, models, sources
from serinus.spec import ModelLoop


def run(loop: str, folder: str, dataset: Path, out: Path) -> str:
    """Fit on the snapshot in `dataset`, save the model in `out`, return its digest.

    loop: the ModelLoop as JSON. folder: where its file lies; "" where there is none.
    Raises SpecError or DataError when nothing can be fitted.
    """
    spec = ModelLoop.model_validate_json(loop)
    code = Path(folder) if folder else None
    frame, about = sources.open_snapshot(dataset)
    estimator, contract = models.fit(spec, frame, about, code)
    return artifact.save(out, estimator, contract)
