"""Rows by the value of a column: what slices and groups are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from serinus.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 100  # values of one column that are looked at: more are no reading


def values(rows: pd.DataFrame, column: str, asked: str) -> pd.Series[Any]:
    """The value of `column` in each row, as a person would write it; "null" where there is none.

    asked: the key of the spec that names the column. Raises DataError when the rows do not have it.
    """
    if column not in rows.columns:
        raise DataError(f"{asked}: expected a column {column}, got {', '.join(rows.columns)}")
    return rows[column].map(_name)


def _name(value: object) -> str:
    if isinstance(value, float):
        return "null" if np.isnan(value) else f"{value:g}"
    return "null" if value is None else str(value)
