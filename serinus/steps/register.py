"""register: the validated model becomes a version, with its evidence beside it."""

from __future__ import annotations

import math
from pathlib import Path

from serinus import artifact, wire
from serinus.decide.champion import refusals
from serinus.errors import GateFailed
from serinus.facts import Dataset, Evaluation, Version
from serinus.ports import ModelStore
from serinus.sources.snapshot import ABOUT
from serinus.spec import ModelLoop
from serinus.steps.validate import REPORT


def run(loop: str, trigger: str, dataset: Path, candidate: Path, evaluation: Path, store: ModelStore) -> Version:
    """Register the model in `candidate` under the key `trigger`; the same trigger twice gives the same version.

    loop: the ModelLoop as JSON. evaluation: the folder that validate wrote; its files are kept beside the model.
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
    return store.register(spec.name, trigger, candidate, tags, metrics, evaluation)


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
