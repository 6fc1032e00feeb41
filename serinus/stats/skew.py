"""Training-serving skew: whether a thing's features were served as the training table has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serinus.facts import Value

_CLOSE = 1e-6  # relative; a number that went through JSON, or float32, is still the same


@dataclass(frozen=True)
class ColumnSkew:
    """How often one feature was served otherwise."""

    name: str
    rows: int  # keys that were compared in it
    differing: int
    missing: int  # of these: null or not there on one side only
    example: str = ""  # of one that differs

    @property
    def share(self) -> float:
        """Of the compared keys, those that differ."""
        return self.differing / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Skew:
    """What the keys say that are both in the table and served."""

    keys: int  # of the table that were looked for
    served: int  # of these, known of production
    columns: tuple[ColumnSkew, ...] = ()


Rows = Mapping[str, Mapping[str, Value]]
"""Business key -> features."""


def compare(table: Rows, served: Rows, columns: Sequence[str]) -> Skew:
    """Each of `columns` for every key that is in both; a feature that was not kept with a record is not compared."""
    keys = [key for key in table if key in served]
    return Skew(len(table), len(keys), tuple(_column(name, keys, table, served) for name in columns))


def _column(name: str, keys: Sequence[str], table: Rows, served: Rows) -> ColumnSkew:
    rows = differing = missing = 0
    example = ""
    for key in keys:
        if name not in served[key]:
            continue
        rows += 1
        one, other = _known(table[key].get(name)), _known(served[key][name])
        if _same(one, other):
            continue
        differing += 1
        missing += one is None or other is None
        example = example or f"{key}: {_shown(one)} in the table, {_shown(other)} served"
    return ColumnSkew(name, rows, differing, missing, example)


def _known(value: Value) -> Value:
    return None if isinstance(value, float) and math.isnan(value) else value


def _same(one: Value, other: Value) -> bool:
    if one is None or other is None:
        return one is other
    if isinstance(one, str) or isinstance(other, str):
        return str(one) == str(other)
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=1e-9)


def _shown(value: Value) -> str:
    return "null" if value is None else f"{value:.40}" if isinstance(value, str) else f"{value:g}"
