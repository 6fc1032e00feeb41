"""From rows to what an estimator takes: one float64 matrix for the built-in ones, a DataFrame for a user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from serinus.facts import Contract

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Inputs:
    """Rows as the estimator was trained with; made by `frame` or `columns`, taken by `scoring`.

    Built-in estimators: shape (n, features), the categorical features first, as positions in the contract's
    categories, then the numeric ones, each group in the contract's order; NaN is missing or never seen in training.
    That is what tree code reads fastest, and it spares a request pandas and scikit-learn's ColumnTransformer.
    A user's estimator: a DataFrame in the contract's order, numeric columns float64 with NaN, categorical ones text
    with None.
    """

    values: Floats | pd.DataFrame


def frame(contract: Contract, rows: Sequence[Mapping[str, object]]) -> Inputs:
    """`rows` as callers send them: a value or None for every field of the contract."""
    return _inputs(contract, {field.name: [row[field.name] for row in rows] for field in contract.fields}, len(rows))


def columns(contract: Contract, data: pd.DataFrame) -> Inputs:
    """The features of a dataset's rows; its other columns are left out."""
    return _inputs(contract, {field.name: data[field.name] for field in contract.fields}, len(data))


def _inputs(contract: Contract, values: Mapping[str, Iterable[object]], rows: int) -> Inputs:
    if ":" in contract.estimator:
        import pandas as pd

        return Inputs(
            pd.DataFrame(
                {
                    field.name: pd.Series(_numbers(values[field.name], rows))
                    if field.kind == "numeric"
                    else pd.Series(_texts(values[field.name]), dtype=object)
                    for field in contract.fields
                }
            )
        )
    codes = _codes(contract)
    matrix = np.empty((rows, len(contract.fields)), dtype=np.float64)
    at = 0
    for name, known in codes:
        matrix[:, at] = [known.get(value, np.nan) for value in values[name]]  # type: ignore[arg-type]
        at += 1
    for field in contract.fields:
        if field.kind == "numeric":
            matrix[:, at] = _numbers(values[field.name], rows)
            at += 1
    return Inputs(matrix)


@lru_cache(maxsize=32)
def _table(categories: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[tuple[str, dict[str, float]], ...]:
    return tuple((name, {c: float(i) for i, c in enumerate(known)}) for name, known in categories)


def _codes(contract: Contract) -> tuple[tuple[str, dict[str, float]], ...]:
    """For each categorical field, in order, what its categories are in the matrix."""
    return _table(tuple((b.name, b.categories) for b in contract.profile.features if b.kind == "categorical"))


def _numbers(values: Iterable[object], rows: int) -> Floats:
    """As float64; None becomes NaN."""
    return np.fromiter((np.nan if v is None else v for v in values), dtype=np.float64, count=rows)  # type: ignore[misc]


def _texts(values: Iterable[object]) -> list[str | None]:
    return [None if value is None else str(value) for value in values]
