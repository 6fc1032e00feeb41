"""What the holdout says of a fresh model, for whoever judges it in production: figures, counts, hard inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serinus.facts import Cell, Contract, Measured, Reference, Value
from serinus.models import regions
from serinus.models.scoring import Answers, answer
from serinus.stats import quality

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

SAMPLE = 1000  # training rows that are kept for a second look at drift


def make(contract: Contract, estimator: Any, train: pd.DataFrame, holdout: pd.DataFrame, seed: int) -> Reference:
    """The reference of a fitted estimator; the same arguments give the same one.

    train, holdout: rows with a label, as `models.split` gives them. Figures come from the same counts that production
    is judged by, so that both have the same small errors of binned scores.
    """
    answers = answer(contract, estimator, holdout)
    metrics: Mapping[str, Measured]
    cells: tuple[Cell, ...] = ()
    if answers.labels is None:
        truth = np.asarray(holdout[contract.label], dtype=np.float64)
        metrics = quality.regressed(quality.errors(answers.scores, truth))
        loss = (answers.scores - truth) ** 2
    else:
        names = [str(name) for name in holdout[contract.label].tolist()]
        cells = quality.cells(names, answers.labels, answers.scores)
        metrics = quality.classified(cells, contract.positive)
        loss = (answers.scores - _hits(contract, names, answers)) ** 2
    return Reference(
        rows=len(holdout),
        metrics=metrics,
        cells=cells,
        regions=regions.find(contract, holdout, answers.scores, loss, seed),
        sample=_sample(contract, train, seed),
    )


def _hits(contract: Contract, truth: list[str], answers: Answers) -> Floats:
    """1 where what the score is the probability of came true: the positive class, or the answer."""
    said = answers.labels if contract.positive is None else [contract.positive] * len(truth)
    return np.array([float(a == t) for a, t in zip(said or [], truth, strict=True)])


def _sample(contract: Contract, train: pd.DataFrame, seed: int) -> dict[str, tuple[Value, ...]]:
    """Columns of some training rows, in the order of time."""
    chosen = np.sort(np.random.default_rng(seed).choice(len(train), min(SAMPLE, len(train)), replace=False))
    rows = train.iloc[chosen]
    return {
        field.name: tuple(map(_number if field.kind == "numeric" else _text, rows[field.name].tolist()))
        for field in contract.fields
    }


def _number(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
