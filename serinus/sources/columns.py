"""The columns that a loop needs, and the one type that each is brought to, whatever the source calls it.

time: datetime64[us, UTC]; a time without a zone is UTC; text is ISO 8601.
numeric features and a regression's label: float64, NaN for null, never infinite.
categorical features, slices, groups, a classification's label: text, None for null; 7 and 7.0 are "7", true is "True".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from serinus.errors import DataError
from serinus.spec import ModelLoop

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Columns:
    """Names by what they become."""

    time: str  # "": no column that every row has a time in
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    times: tuple[str, ...] = ()  # more times, which may be missing (NaT)
    extras: tuple[str, ...] = ()  # texts that come along where the source has them

    @property
    def all(self) -> tuple[str, ...]:
        """Every needed column, once."""
        return (*filter(None, [self.time]), *self.times, *self.numbers, *self.texts)

    def found(self, names: list[str]) -> list[str]:
        """Every needed column and the extras among `names`, once."""
        return [*self.all, *(c for c in self.extras if c in names and c not in self.all)]

    @staticmethod
    def of(spec: ModelLoop, *extras: str) -> Columns:
        """What `spec` needs, and `extras` where the source has them."""
        data = spec.spec.data
        numbers, texts = list(data.features.numeric), list(data.features.categorical)
        (numbers if spec.spec.task == "regression" else texts).insert(0, data.label)
        texts += [c for c in spec.spec.validation.columns if c not in (*numbers, *texts, data.time)]
        return Columns(data.time, tuple(numbers), tuple(dict.fromkeys(texts)), extras=extras)


def present(names: list[str], columns: Columns, where: str) -> None:
    """Raises DataError unless all needed columns are among `names`."""
    if missing := [c for c in columns.all if c not in names]:
        raise DataError(
            f"{where}: expected columns {', '.join(columns.all)}; missing {', '.join(missing)};"
            f" found {', '.join(names) or 'none'}"
        )


def typed(frame: pd.DataFrame, columns: Columns, where: str) -> pd.DataFrame:
    """The needed columns of `frame` in their types. Raises DataError that names place, column and value."""
    import pandas as pd

    present([str(c) for c in frame.columns], columns, where)
    made: dict[str, Any] = {columns.time: _every(_times(frame[columns.time], where), where)} if columns.time else {}
    made |= {c: _times(frame[c], where) for c in columns.times}
    made |= {c: _numbers(frame[c], where) for c in columns.numbers}
    extras = [c for c in columns.found([str(c) for c in frame.columns]) if c not in columns.all]
    made |= {c: _texts(frame[c], where) for c in (*columns.texts, *extras)}
    return pd.DataFrame(made).reset_index(drop=True)


def _times(values: pd.Series[Any], where: str) -> pd.Series[Any]:
    import pandas as pd

    place = f"{where}: column {values.name}"
    if pd.api.types.is_numeric_dtype(values.dtype):
        raise DataError(f"{place}: expected timestamps or ISO 8601 text, got numbers ({values.dtype})")
    try:
        text = values.dtype == object or pd.api.types.is_string_dtype(values.dtype)
        times = pd.to_datetime(values, utc=True, format="ISO8601" if text else None).astype("datetime64[us, UTC]")
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{place}: expected timestamps or ISO 8601 text: {error}") from error
    return times


def _every(times: pd.Series[Any], where: str) -> pd.Series[Any]:
    if count := int(times.isna().sum()):
        raise DataError(
            f"{where}: column {times.name}: expected a time in every row, got {count} of {len(times)} without one"
        )
    return times


def _numbers(values: pd.Series[Any], where: str) -> pd.Series[Any]:
    import pandas as pd

    place = f"{where}: column {values.name}"
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or pd.api.types.is_timedelta64_dtype(values.dtype):
        raise DataError(f"{place}: expected numbers, got {values.dtype}")
    try:
        numbers = pd.to_numeric(values).astype("float64")
    except (ValueError, TypeError) as error:
        raise DataError(f"{place}: expected numbers: {error}") from error
    if count := int(np.isinf(numbers.to_numpy()).sum()):
        raise DataError(f"{place}: expected finite numbers, got {count} infinite of {len(numbers)}")
    return numbers


def _texts(values: pd.Series[Any], where: str) -> pd.Series[Any]:
    """Each distinct value is written once: a column of categories has few of them."""
    import pandas as pd

    codes, distinct = pd.factorize(values)
    texts = np.array([*(_text(v, f"{where}: column {values.name}") for v in distinct), None], dtype=object)
    return pd.Series(texts[codes], index=values.index, dtype=object)


def _text(value: Any, place: str) -> str:
    if isinstance(value, (bytes, list, dict, np.ndarray)):
        raise DataError(f"{place}: expected text, numbers or booleans, got {type(value).__name__}: {value!r:.40}")
    # nulls make a column of integers one of floats; the category stays what it was
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)
