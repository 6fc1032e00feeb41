"""What a counter gained between two moments, from its raw samples: exact, where `increase()` extrapolates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Gain(NamedTuple):
    """What a counter gained, and how many samples inside the interval that is known from."""

    increase: float
    samples: int


def gain(samples: Iterable[tuple[int, float]], start: int, end: int, before: float | None = None) -> Gain:
    """What a counter gained in (start, end], from its `samples`, (milliseconds, value) in the order of time.

    It starts from the last sample at or before `start`, else from `before`, else from 0: a counter that nobody knew
    was born inside. A value that fell was reset, and counts from 0. What a process counted after its last sample
    before a reset is lost, as no sample holds it.
    """
    last, increase, inside = before, 0.0, 0
    for at, value in samples:
        if at > end:
            break
        if at > start:
            increase += value if last is None or value < last else value - last
            inside += 1
        last = value
    return Gain(increase, inside)
