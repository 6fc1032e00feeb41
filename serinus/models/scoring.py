"""What a model answers: one score for every row, and for classes their labels and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serinus.facts import Contract
from serinus.models.inputs import Inputs, columns, own
from serinus.models.once import once

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

SMALL = 256  # rows up to which the families' quick ways beat scikit-learn's threads


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
    found = _predict(contract, estimator, values)
    if contract.task == "regression":
        return Answers(None, found.reshape(-1), None)
    top = found.argmax(axis=1)
    labels = [contract.classes[i] for i in top]
    if contract.positive is not None:
        return Answers(labels, found[:, contract.classes.index(contract.positive)], found)
    return Answers(labels, found[np.arange(len(top)), top], found)


def _predict(contract: Contract, estimator: Any, values: Any) -> Floats:
    """Probabilities of the classes, shape (n, classes), or predictions, shape (n,)."""
    if not own(contract) and len(values) <= SMALL and (quick := _quick(contract)(estimator)) is not None:
        return quick(values)
    ask = estimator.predict if contract.task == "regression" else estimator.predict_proba
    return np.asarray(ask(values), dtype=np.float64)


def _found(contract: Contract) -> Callable[[Any], Callable[[Floats], Floats] | None]:
    from serinus.models import TABLE

    return once(TABLE[contract.estimator].quick)


_quick = once(_found)
