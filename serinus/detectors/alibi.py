"""The engine `alibi-detect`: its ChiSquareDrift, on rows that say how many rows they stand for.

alibi-detect is under the Business Source License 1.1: production use needs a licence from its vendor.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from serinus.detectors.contingency import tables
from serinus.errors import Fatal

Rows = npt.NDArray[np.int64]


@contextmanager
def wanted() -> Iterator[None]:
    """Around an import of alibi-detect, which takes 2.5 s. Raises Fatal where it is not installed."""
    # A library below it tells stderr at import that PyTorch is absent, which nothing here needs.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "alibi_detect":
            raise
        raise Fatal(
            "spec.drift: expected the package alibi-detect for `detector: alibi-detect` and for `confirm`, got an"
            " installation without it; use `detector: scipy`, which gives the same p-values, and `confirm: {detector:"
            " none}`, or install it: the extra `alibi`, in an image the build argument"
            " EXTRAS='operator collector alibi'. Its licence limits production use"
        ) from error


def p_values(reference: Sequence[Sequence[int]], current: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """P-values of the chi-squared tests, one a feature; see `serinus.detectors.Engine`.

    ChiSquareDrift takes rows, and a window of counters has none. Unrolling counts into rows would make the cost grow
    with the traffic, so a row here is a bin and its count, and the one step that counts rows adds up those counts;
    detector, test and rounding stay alibi-detect's. The tests hold this to the untouched detector on unrolled rows.
    """
    with wanted():
        from alibi_detect.cd import ChiSquareDrift

    class Weighted(ChiSquareDrift):  # type: ignore[misc]
        """ChiSquareDrift of one feature whose rows are (bin, how many rows it stands for)."""

        def _get_counts(self, x: Rows, categories: Mapping[int, Sequence[int]]) -> dict[int, list[np.int64]]:
            return {f: [x[x[:, f] == bin_, 1].sum() for bin_ in bins] for f, bins in categories.items()}

    found = []
    for table in tables(reference, current):
        bins = np.arange(table.shape[1])
        before, now = (np.column_stack((bins, counts)) for counts in table)
        detector = Weighted(before, n_features=1, categories_per_feature={0: len(bins)})
        p_value, _ = detector.score(now)
        found.append(float(p_value[0]))
    return tuple(found)
