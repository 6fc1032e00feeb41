"""Tables of known drift: fifteen features and a score, windows of 2,000 rows against a reference of 20,000.

Every random number comes from a stream's seed. A stream has one reference and then its windows in the order of time;
from window `FIRST` on its case's change is there, and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

Floats = npt.NDArray[np.float64]
Columns = dict[str, Floats]

REFERENCE, WINDOW = 20_000, 2_000  # rows
FIRST, AFTER = 7, 13  # windows before a change, and with it
YEAR = 365  # windows, one a day
NUMBERS = ("income", "age", "tenure", "balance", "amount", "latency", "rating", "visits", "rain", "returns")
CATEGORIES = {
    "flag": (0.9, 0.1),
    "plan": (0.5, 0.3, 0.2),
    "device": (0.4, 0.3, 0.2, 0.07, 0.03),
    "region": 12,
    "town": 40,
}
NAMES = (*NUMBERS, *CATEGORIES, "score")
KINDS = tuple("categorical" if name in CATEGORIES else "numeric" for name in NAMES)


@dataclass(frozen=True)
class Case:
    """A kind of stream: what is changed in a window's columns, by how many windows the change has been there (from 1),
    and how alike neighbouring rows are: the correlation of a row's numbers with those of the row before it.
    """

    name: str
    change: Callable[[Columns, int, np.random.Generator], None] | None = None
    alike: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether nothing ever changes."""
        return self.change is None


def _shift(column: str, deviations: float, columns: Columns, _since: int, _rng: np.random.Generator) -> None:
    columns[column] += deviations * DEVIATIONS[column]


def _gradual(column: str, deviations: float, columns: Columns, since: int, _rng: np.random.Generator) -> None:
    columns[column] += deviations * since / AFTER * DEVIATIONS[column]


def _scale(column: str, factor: float, columns: Columns, _since: int, _rng: np.random.Generator) -> None:
    columns[column] *= factor  # its mean is 0


def _share(column: str, moved: float, columns: Columns, _since: int, rng: np.random.Generator) -> None:
    """So much of all rows goes from the first category to the second."""
    first = np.flatnonzero(columns[column] == 0)
    columns[column][rng.choice(first, size=int(moved * columns[column].size), replace=False)] = 1


def _missing(column: str, share: float, columns: Columns, _since: int, rng: np.random.Generator) -> None:
    columns[column][rng.random(columns[column].size) < share] = np.nan


def _nothing(_columns: Columns, _since: int, _rng: np.random.Generator) -> None:
    """What is found of this is found of the others by luck, too."""


CLEAN, ALIKE = Case("clean"), Case("clean, rows like the one before", alike=0.8)
CASES = (
    CLEAN,
    ALIKE,
    Case("nothing", _nothing),
    Case("shift of 0.25 sd, 1 feature in 15", partial(_shift, "income", 0.25)),
    Case("shift of 0.1 sd, 1 feature in 15", partial(_shift, "income", 0.1)),
    Case("shift of 0.05 sd, 1 feature in 15", partial(_shift, "income", 0.05)),
    Case("shift of 0.1 sd, long tails", partial(_shift, "returns", 0.1)),
    Case("spread times 1.15", partial(_scale, "income", 1.15)),
    Case("5 % of rows to another category", partial(_share, "plan", 0.05)),
    Case("missing values 2 % to 5 %", partial(_missing, "balance", 0.031)),
    Case(f"gradual: 0 to 0.25 sd in {AFTER} windows", partial(_gradual, "income", 0.25)),
)


def reference(case: Case, seed: int) -> Floats:
    """The rows that the stream of `seed` is compared with, shape (REFERENCE, 16)."""
    return _table(_rows(np.random.default_rng([seed, 0]), REFERENCE, case.alike))


def windows(case: Case, seed: int, number: int) -> Iterator[Floats]:
    """The stream's windows, each of shape (WINDOW, 16)."""
    for window in range(number):
        rng = np.random.default_rng([seed, 1, window])
        columns = _rows(rng, WINDOW, case.alike)
        if case.change is not None and window >= FIRST:
            case.change(columns, window - FIRST + 1, rng)
        yield _table(columns)


def rows(seed: int, number: int) -> Floats:
    """Clean rows, shape (number, 16)."""
    return _table(_rows(np.random.default_rng([seed, 2]), number, 0.0))


def _table(columns: Mapping[str, Floats]) -> Floats:
    """The columns beside each other, and the score that a logistic model makes of them."""
    known = {name: np.nan_to_num(columns[name]) for name in NUMBERS}
    drawn = columns["noise"] + 0.5 * known["income"] + 0.3 * known["age"] / 12 - 0.3 * (columns["plan"] == 1)
    return np.column_stack([*(columns[name] for name in NAMES[:-1]), 1 / (1 + np.exp(-drawn))])


def _rows(rng: np.random.Generator, number: int, alike: float) -> Columns:
    normal = _normals(rng, number, len(NUMBERS) + 1, alike)
    columns = {
        "income": normal[0],
        "age": 12 * normal[1],
        "tenure": np.exp(0.8 * normal[2]),
        "balance": 0.6 * normal[0] + 0.8 * normal[3],
        "amount": np.exp(1.2 * normal[4]),
        "latency": np.abs(normal[5]),
        "rating": np.clip(np.round(3 + 1.2 * normal[6]), 1, 5),
        "visits": np.floor(np.exp(0.7 * normal[7] + 1)),
        "rain": np.maximum(normal[8] - 0.8, 0.0),
        "returns": np.sinh(normal[9]),
        "noise": normal[10],
    }
    for name, weights in CATEGORIES.items():
        often = 1 / np.arange(1, weights + 1) if isinstance(weights, int) else np.asarray(weights)
        columns[name] = rng.choice(often.size, size=number, p=often / often.sum()).astype(np.float64)
    for name in ("balance", "visits"):
        columns[name][rng.random(number) < 0.02] = np.nan
    return columns


def _normals(rng: np.random.Generator, number: int, columns: int, alike: float) -> Floats:
    """Standard normals, shape (columns, number); along a column an autoregression of `alike`."""
    fresh = rng.normal(size=(columns, number))
    if not alike:
        return fresh
    fresh[:, 1:] *= np.sqrt(1 - alike**2)
    return np.asarray(lfilter([1.0], [1.0, -alike], fresh))


DEVIATIONS = {"income": 1.0, "returns": float(np.sqrt((np.exp(2) - 1) / 2))}
"""Standard deviations of the columns that are shifted: of a standard normal, and of its hyperbolic sine."""
