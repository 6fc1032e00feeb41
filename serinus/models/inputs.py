"""From rows to what an estimator takes: one float64 matrix for the built-in ones, a DataFrame for a user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serinus.facts import Contract
from serinus.models.once import once

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
NAN = float("nan")


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


@dataclass(frozen=True)
class _Plan:
    """How a contract's rows become a matrix."""

    codes: tuple[tuple[str, Mapping[str, float]], ...]  # categorical field -> category -> position
    numbers: tuple[str, ...]


def own(contract: Contract) -> bool:
    """Whether the estimator comes from a user's function and takes a DataFrame."""
    return ":" in contract.estimator


def frame(contract: Contract, rows: Sequence[Mapping[str, Any]]) -> Inputs:
    """`rows` as callers send them: for every field of the contract a number, text, or None.

    They are taken as valid; a category that training never saw counts as missing.
    """
    if own(contract):
        import pandas as pd

        return columns(
            contract,
            pd.DataFrame({f.name: pd.Series([r[f.name] for r in rows], dtype=object) for f in contract.fields}),
        )
    plan = _plan(contract)
    matrix = [
        [known.get(row[name], NAN) for name, known in plan.codes]
        + [NAN if row[name] is None else row[name] for name in plan.numbers]
        for row in rows
    ]
    return Inputs(np.array(matrix, dtype=np.float64).reshape(len(rows), len(contract.fields)))


def columns(contract: Contract, data: pd.DataFrame) -> Inputs:
    """The features of a dataset's rows (as `sources.open_snapshot` gives them); its other columns are left out."""
    import pandas as pd

    if own(contract):
        kinds = {field.name: "float64" if field.kind == "numeric" else "object" for field in contract.fields}
        made = data[list(kinds)].astype(kinds).reset_index(drop=True)
        texts = [name for name, kind in kinds.items() if kind == "object"]
        return Inputs(made.assign(**{name: made[name].where(made[name].notna(), None) for name in texts}))
    plan = _plan(contract)
    coded = [data[name].map(known).to_numpy(dtype=np.float64) for name, known in plan.codes]
    numbers = [pd.to_numeric(data[name]).to_numpy(dtype=np.float64) for name in plan.numbers]
    return Inputs(np.column_stack([*coded, *numbers]))


def _planned(contract: Contract) -> _Plan:
    return _Plan(
        codes=tuple(
            (bins.name, {category: float(i) for i, category in enumerate(bins.categories)})
            for bins in contract.profile.features
            if bins.kind == "categorical"
        ),
        numbers=tuple(field.name for field in contract.fields if field.kind == "numeric"),
    )


_plan = once(_planned)
