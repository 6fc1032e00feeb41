"""Two histograms as the table that a chi-squared test takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.int64]


def tables(reference: Sequence[Sequence[int]], current: Sequence[Sequence[int]]) -> Iterator[Table]:
    """For every feature its counts, shape (2, bins): reference, current; bins that are empty in both are left out.

    Raises ValueError when the samples have other features or bins, or a feature of a sample has no rows.
    """
    for number, (one, other) in enumerate(zip(reference, current, strict=True)):
        if len(one) != len(other):
            raise ValueError(f"feature {number}: expected the same bins in both samples, got {len(one)}, {len(other)}")
        table = np.asarray([one, other], dtype=np.int64)
        if (table < 0).any() or (table.sum(axis=1) == 0).any():
            raise ValueError(f"feature {number}: expected rows in both samples, got {table.sum(axis=1).tolist()}")
        yield table[:, table.any(axis=0)]
