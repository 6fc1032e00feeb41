"""How much a fitted estimator goes by each feature: permutation importance on the holdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serinus.facts import Contract, Importance
from serinus.models.inputs import Inputs, columns, own
from serinus.models.scoring import answer
from serinus.stats import figures

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

ROWS, REPEATS = 1000, 5
PREDICTED = 500_000  # rows in all that are predicted at most, but for the least
LEAST = 200  # rows, however many features there are
_NOISE = 1e-12  # of an answer: below it nothing changed


def measure(
    contract: Contract, estimator: Any, holdout: pd.DataFrame, metric: str, seed: int
) -> tuple[Importance, ...]:
    """The importance of each feature, in the order of `contract.fields`; the same arguments give the same one.

    What shuffling a feature's values over the rows costs of `metric` (Breiman 2001, "Random forests"; scikit-learn's
    `permutation_importance`), on at most `ROWS` rows of the holdout, fewer when there are very many features. Two
    features that say the same share their importance, or hide it from each other.

    A drop is 0 where the metric is not defined on these rows (ROC AUC of one class). Figures have six digits,
    since they go into the model's digest, and the last bits of a sum may be another processor's.
    """
    from sklearn.inspection import permutation_importance
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    most = max(LEAST, min(ROWS, PREDICTED // (REPEATS * max(1, len(contract.fields)))))
    chosen = np.sort(np.random.default_rng(seed).choice(len(holdout), min(most, len(holdout)), replace=False))
    rows = holdout.iloc[chosen]
    values, truth = columns(contract, rows).values, rows[contract.label]
    sign = -1.0 if metric in figures.LOWER_IS_BETTER else 1.0

    def scored(_: Any, shuffled: Any, __: Any) -> Mapping[str, float]:
        answers = _answers(contract, estimator, shuffled)
        quality = figures.value(metric, _judged(contract, truth, answers))
        moved = float(np.abs(answers - before).sum(axis=1).mean()) / (1.0 if before.shape[1] == 1 else 2.0)
        return {"drop": sign * quality if np.isfinite(quality) else 0.0, "moved": -moved}

    # So few rows are not worth a second thread, and on busy cores threads wait for each other at every prediction.
    with threadpool_limits(1):
        before = _answers(contract, estimator, values)
        found = permutation_importance(
            _Fitted(), values, np.zeros(len(rows)), scoring=scored, n_repeats=REPEATS, random_state=seed
        )
    places = {name: place for place, name in enumerate(_order(contract))}
    return tuple(
        Importance(
            field.name,
            drop=_digits(found["drop"].importances_mean[places[field.name]]),
            error=_digits(found["drop"].importances_std[places[field.name]]),
            moved=_digits(found["moved"].importances_mean[places[field.name]]),
        )
        for field in contract.fields
    )


class _Fitted:
    """What scikit-learn wants to be given; the scorer asks the estimator itself."""

    def fit(self) -> None:
        """Nothing to do."""


def _order(contract: Contract) -> list[str]:
    """The names of the columns that `columns` makes."""
    if own(contract):
        return [field.name for field in contract.fields]
    texts = [bins.name for bins in contract.profile.features if bins.kind == "categorical"]
    return [*texts, *(field.name for field in contract.fields if field.kind == "numeric")]


def _answers(contract: Contract, estimator: Any, values: Any) -> Floats:
    """Probabilities (n, classes), or predictions (n, 1)."""
    found = answer(contract, estimator, Inputs(values))
    return found.scores[:, None] if found.probabilities is None else found.probabilities


def _judged(contract: Contract, truth: pd.Series[Any], answers: Floats) -> figures.Answers:
    if contract.task == "regression":
        return figures.Regressed(truth.to_numpy(dtype=np.float64), answers[:, 0])
    places = {name: place for place, name in enumerate(contract.classes)}
    # A class that training never saw is refused by validation; here its rows count for the first one.
    codes = np.array([places.get(str(kind), 0) for kind in truth], dtype=np.intp)
    positive = places[contract.positive] if contract.positive is not None else 1
    return figures.Classified(codes, answers, positive)


def _digits(value: float) -> float:
    return float(f"{value:.6g}") if abs(value) > _NOISE else 0.0
