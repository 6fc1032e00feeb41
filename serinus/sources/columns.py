"""The columns that a loop needs, and the one type that each is brought to."""

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

    time: str
    numbers: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every needed column, once."""
        return (self.time, *self.numbers, *self.texts)

    @staticmethod
    def of(spec: ModelLoop) -> Columns:
        """What `spec` needs: label, features, and the slices that are none of these."""
        data = spec.spec.data
        numbers, texts = list(data.features.numeric), list(data.features.categorical)
        (numbers if spec.spec.task == "regression" else texts).insert(0, data.label)
        texts += [s for s in spec.spec.validation.slices if s not in (*numbers, *texts, data.time)]
        return Columns(data.time, tuple(numbers), tuple(dict.fromkeys(texts)))


def typed(frame: pd.DataFrame, columns: Columns, source: str) -> pd.DataFrame:
    """The needed columns of `frame` in their one type each. Raises DataError that names column and value."""
    import pandas as pd

    missing = [c for c in columns.all if c not in frame.columns]
    if missing:
        raise DataError(
            f"{source}: expected columns {', '.join(columns.all)}; missing {', '.join(missing)};"
            f" found {', '.join(map(str, frame.columns))}"
        )
    made: dict[str, Any] = {columns.time: _times(frame[columns.time], source)}
    made |= {c: _numbers(frame[c], source) for c in columns.numbers}
    made |= {c: _texts(frame[c]) for c in columns.texts}
    return pd.DataFrame(made)


def _times(values: pd.Series[Any], source: str) -> pd.Series[Any]:
    import pandas as pd

    try:
        times = pd.to_datetime(values, utc=True).astype("datetime64[us, UTC]")
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{source}: column {values.name}: expected times, got {error}") from error
    return times


def _numbers(values: pd.Series[Any], source: str) -> pd.Series[Any]:
    import pandas as pd

    try:
        return pd.to_numeric(values).astype("float64")
    except (ValueError, TypeError) as error:
        raise DataError(f"{source}: column {values.name}: expected numbers, got {error}") from error


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series([_text(v) for v in values.tolist()], index=values.index, dtype=object)


def _text(value: object) -> str | None:
    """As a category is written: integers without a point, whatever type the nulls beside them made of the column."""
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return None if np.isnan(value) else str(int(value)) if value.is_integer() else str(value)
    return str(value)
