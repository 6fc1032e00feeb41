"""One feature's values as callers send them: checked against the contract and placed in their bins. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serinus.errors import InvalidInput
from serinus.facts import MISSING, UNSEEN, Bins, Field

Value = float | str | None

# What a 32-bit float can hold. Trees in scikit-learn compare in float32, where a larger number is infinite.
LARGEST = 3.4028234663852886e38


class Refused(InvalidInput):
    """A body that the contract refuses. `rows` of the named field fell into `bin` (missing or unseen), if any did."""

    def __init__(self, field: str, message: str, bin: str = "", rows: int = 0) -> None:
        super().__init__(field, message)
        self.bin = bin
        self.rows = rows


@dataclass(frozen=True)
class Column:
    """A field of the contract, ready to check values."""

    field: Field
    edges: tuple[float, ...]
    known: Mapping[str, int]  # category -> its bin
    missing: int  # position of that bin in `Bins.labels()`
    unseen: int
    integers: bool  # a category may be sent as a JSON integer: training had such categories
    booleans: bool  # the same for true and false

    @property
    def wanted(self) -> str:
        """What a caller should send, for error messages."""
        if self.field.kind == "numeric":
            return f"a number between -{LARGEST:.4g} and {LARGEST:.4g}"
        return "a string"


def column(field: Field, bins: Bins, arrow: str) -> Column:
    """The checks of `field`. arrow: the type that the column had in the training data."""
    labels = bins.labels()
    return Column(
        field=field,
        edges=bins.edges,
        known={category: i for i, category in enumerate(bins.categories)},
        missing=labels.index(MISSING),
        unseen=labels.index(UNSEEN),
        integers=any(c.removeprefix("-").isdecimal() for c in bins.categories),
        booleans=arrow == "bool" or any(c in ("True", "False") for c in bins.categories),
    )


def take(
    col: Column, raw: Sequence[object], where: tuple[str, str], accept_unseen: bool
) -> tuple[list[Value], list[int]]:
    """(values as the model takes them, position of each one's bin in `Bins.labels()`).

    where: what stands before and after a value's index in error messages. Raises Refused at the first bad value.
    """
    values: list[Value] = []
    bins: list[int] = []
    read = _number if col.field.kind == "numeric" else _category
    for index, item in enumerate(raw):
        if item is None:
            if not col.field.nullable:
                nulls = sum(v is None for v in raw)
                message = f"{at(where, index)}: expected {col.wanted}, got null, which training never saw here"
                raise Refused(col.field.name, message, MISSING, nulls)
            values.append(None)
            bins.append(col.missing)
            continue
        value = read(col, item)
        if value is None:
            raise Refused(col.field.name, f"{at(where, index)}: expected {col.wanted}, got {said(item)}")
        values.append(value)
        if not isinstance(value, str):
            bins.append(bisect_left(col.edges, value))  # the rule of stats.bins.place, for one value
        elif (position := col.known.get(value, col.unseen)) != col.unseen or accept_unseen:
            bins.append(position)
        else:
            message = f"{at(where, index)}: expected a category that training saw ({_some(col)}), got {said(item)}"
            texts = [_category(col, v) for v in raw]
            raise Refused(col.field.name, message, UNSEEN, sum(t is not None and t not in col.known for t in texts))
    return values, bins


def _number(col: Column, item: object) -> float | None:
    """`item` as a number that the model can hold, or None."""
    if type(item) is float or type(item) is int or (type(item) is bool and col.booleans):
        value = float(item)
        return value if -LARGEST <= value <= LARGEST else None
    return None


def _category(col: Column, item: object) -> str | None:
    """`item` as a category's text, or None when its type is wrong."""
    if type(item) is str:
        return item
    if (type(item) is int and col.integers) or (type(item) is bool and col.booleans):
        return str(item)
    return None


# --- sentences -------------------------------------------------------------------------------------------------------


def at(where: tuple[str, str], index: int) -> str:
    """The place of a value in the body."""
    return f"{where[0]}{index}{where[1]}"


def said(value: object) -> str:
    """The value as a person would call it, never more than a few words of it."""
    if isinstance(value, str):
        return f"the string {short(value)!r}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value!r}"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "null" if value is None else "an object"


def short(text: str, most: int = 40) -> str:
    """At most so many characters of `text`."""
    return text if len(text) <= most else text[:most] + "..."


def _some(col: Column) -> str:
    names = [short(c) for c in list(col.known)[:10]]
    return ", ".join(names) + (", ..." if len(col.known) > 10 else "")
