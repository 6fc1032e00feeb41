"""What a model answers: one score for every row, and for classes their labels and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serinus.facts import Contract
from serinus.models.inputs import Inputs, columns

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Answers for n rows."""

    labels: list[str] | None  # the most probable class; None for regression
    scores: Floats  # (n,): P(positive), probability of the top class, or the prediction
    probabilities: Floats | None  # (n, classes) in the order of `Contract.classes`; None for regression


def score(contract: Contract, estimator: Any, rows: Inputs | pd.DataFrame) -> Floats:
    """The score of each row, shape (n,): P(positive), the probability of the top class, or the prediction."""
    return answer(contract, estimator, rows).scores


def answer(contract: Contract, estimator: Any, rows: Inputs | pd.DataFrame) -> Answers:
    """All that there is to say about each row. A DataFrame (a dataset's rows) is brought into form first."""
    values = (rows if isinstance(rows, Inputs) else columns(contract, rows)).values
    if contract.task == "regression":
        return Answers(None, np.asarray(estimator.predict(values), dtype=np.float64).reshape(-1), None)
    probabilities = np.asarray(estimator.predict_proba(values), dtype=np.float64)
    top = probabilities.argmax(axis=1)
    labels = [contract.classes[i] for i in top]
    if contract.positive is not None:
        return Answers(labels, probabilities[:, contract.classes.index(contract.positive)], probabilities)
    return Answers(labels, probabilities[np.arange(len(top)), top], probabilities)
