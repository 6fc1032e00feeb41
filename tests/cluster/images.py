"""`python -m tests.cluster.images FOLDER`: the contexts of the two images that a user of ours would have derived.

`pipeline` holds rows, labels and training code of one's own, and the stand-in for Kubeflow Pipelines, which runs the
steps in its own container; `predictor` holds the same code, whose types a model file may name.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pandas as pd

import serinus
from tests import data_sets

ROOT = Path(__file__).resolve().parents[2]
PIPELINE, PREDICTOR = "serinus-test/pipeline:1", "serinus-test/predictor:1"
ROWS, LABELS = "/opt/user/data", "/opt/user/labels.csv"
KEY, TRUTH = "parcel", "fate"
"""Columns of LABELS: what was true of each parcel, by its key, of those that `keyed` gives callers."""

_DOCKERFILE = """\
ARG BASE={base}
FROM ${{BASE}}
COPY . /opt/user
ENV PYTHONPATH=/opt/user
"""


def keyed(frame: pd.DataFrame) -> pd.DataFrame:
    """The first parcels of the frame with the keys by which LABELS knows them."""
    first = frame.head(200)
    return first.assign(**{KEY: [f"p{number}" for number in range(len(first))]})


def write(folder: Path) -> None:
    """The contexts `folder`/pipeline and `folder`/predictor."""
    for name in ("pipeline", "predictor"):
        context = folder / name
        context.mkdir(parents=True)
        (context / "Dockerfile").write_text(_DOCKERFILE.format(base=f"serinus/{name}:{serinus.__version__}"))
        shutil.copyfile(ROOT / "examples" / "flights" / "faulty.py", context / "faulty.py")
    _, frame = data_sets.binary(1200)
    (folder / "pipeline" / "data").mkdir()
    frame.to_parquet(folder / "pipeline" / "data" / "rows.parquet")
    keyed(frame)[[KEY, TRUTH]].to_csv(folder / "pipeline" / "labels.csv", index=False)
    standins = folder / "pipeline" / "tests" / "standins"
    shutil.copytree(ROOT / "tests" / "standins", standins, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pipeline" / "tests" / "__init__.py").write_text("")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
