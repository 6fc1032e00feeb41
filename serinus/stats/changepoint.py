"""When counts stopped being drawn as they used to be, once it is known that they did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def change_point(before: Sequence[int], blocks: Sequence[Sequence[int]], after: Sequence[int]) -> int:
    """The most likely first of `blocks` (k counts each, in the order of time) that is drawn from a new distribution.

    Maximum likelihood for one change from a known multinomial distribution to another (Hinkley 1970, "Inference about
    the change-point in a sequence of random variables"; with both known it is the argument of the largest sum of log
    likelihood ratios up to now, Page 1954, "Continuous inspection schemes"). The first one is that of `before`, counts
    of the rows that are the measure. The other one begins as that of `after`, counts that are known to be different
    and may partly be older than the change, and is then taken from the blocks behind the change point, in turns until
    neither moves. Half a count in every bin keeps logarithms finite. Of a slow change this is about the time when half
    of it had come about; blocks without counts are in neither part, and the change point is never one of them.

    Raises ValueError when no block has a count, or `before` or `after` has none.
    """
    first, counts = np.asarray(before, dtype=np.float64), np.asarray(blocks, dtype=np.float64)
    late = np.asarray(after, dtype=np.float64)
    if counts.ndim != 2 or not counts.sum() or not first.sum() or not late.sum():
        raise ValueError(f"expected counts before, in some block and after, got {before}, {blocks} and {after}")
    used = (first > 0) | (counts.sum(axis=0) > 0) | (late > 0)
    first, counts, late = first[used] + 0.5, counts[:, used], late[used]
    seen: set[int] = set()
    while True:
        now = late + 0.5
        ratios = counts @ (np.log(now / now.sum()) - np.log(first / first.sum()))
        place = _largest(ratios, counts.sum(axis=1))
        if place in seen:
            return place
        seen.add(place)
        late = counts[place:].sum(axis=0)


def _largest(ratios: Floats, rows: Floats) -> int:
    """Where the sum of `ratios` from there on is largest; of several such places the latest that has rows."""
    best, found, total = -np.inf, 0, 0.0
    for place in reversed(range(len(ratios))):
        total += ratios[place]
        if rows[place] > 0 and total > best:
            best, found = total, place
    return found
