"""What a step found, as KFP's artifacts show it in the Kubeflow UI. Figures are made in `serinus.steps`, not here."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any  # KFP's artifacts are untyped

from serinus.facts import Dataset, Evaluation, Version

_POINTS = 200  # of a curve: KFP keeps it in a database row


def dataset(about: Dataset, artifact: Any) -> None:
    """Where the rows came from, beside the snapshot."""
    artifact.metadata.update(
        version=about.version,
        source=about.source,
        rows=about.rows,
        start=about.window.start.isoformat(),
        end=about.window.end.isoformat(),
    )


def model(digest: str, version: str, artifact: Any) -> None:
    """What the model is and learned from, beside the model."""
    artifact.framework = "scikit-learn"
    artifact.metadata.update(digest=digest, dataset=version)


def figures(evaluation: Evaluation, artifact: Any) -> None:
    """Every figure of the evaluation as KFP metrics; those that are not finite numbers cannot be shown."""
    for name, value in {**evaluation.metrics, "holdout_rows": float(evaluation.rows)}.items():
        if math.isfinite(value):
            artifact.log_metric(name, float(value))


def curves(evaluation: Evaluation, artifact: Any) -> None:
    """ROC curve and confusion matrix; a regression has neither, and the artifact stays empty."""
    roc = evaluation.roc
    if roc:
        last = len(roc) - 1
        some = sorted({round(i * last / (_POINTS - 1)) for i in range(_POINTS)}) if last >= _POINTS else range(last + 1)
        rates = [roc[i] for i in some]
        # The curve begins above every score, at an infinite threshold, which JSON cannot say.
        artifact.log_roc_curve(
            [false for false, _, _ in rates],
            [true for _, true, _ in rates],
            [threshold if math.isfinite(threshold) else 1.0 for _, _, threshold in rates],
        )
    if evaluation.confusion:
        artifact.log_confusion_matrix(list(evaluation.labels), [list(row) for row in evaluation.confusion])


@contextlib.contextmanager
def page(written: Path, artifact: Any) -> Iterator[None]:
    """Show the HTML page that the step writes, above all when the step fails on what the page says."""
    try:
        yield
    finally:
        if written.exists():
            shutil.copyfile(written, artifact.path)


def version(registered: Version, artifact: Any) -> None:
    """What was registered, in a few lines."""
    lines = [
        f"# {registered.loop}, version {registered.number}",
        "",
        f"- trigger: `{registered.trigger}`",
        f"- dataset: `{registered.dataset}`",
        f"- model digest: `{registered.digest}`",
        f"- aliases: {', '.join(sorted(registered.aliases)) or 'none'}",
    ]
    Path(artifact.path).write_text("\n".join(lines) + "\n")
