"""Work that is done once for a long-lived object: a loaded contract, a fitted estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def once(make: Callable[[K], V], keep: int = 8) -> Callable[[K], V]:
    """`make`, remembering what it made of the last `keep` objects.

    Objects are told apart by identity, since contracts hold mappings and estimators arrays, and comparing either
    costs more than a prediction. The object is kept with its result, so that no other can take its identity.
    """
    made: dict[int, tuple[K, V]] = {}

    def remembered(key: K) -> V:
        found = made.get(id(key))
        if found is None:
            found = (key, make(key))
            made[id(key)] = found
            for oldest in list(made)[:-keep]:
                made.pop(oldest, None)
        return found[1]

    return remembered
