"""The maximum mean discrepancy with a permutation test (Gretton et al. 2012, "A kernel two-sample test").

alibi-detect's own backends for it are PyTorch, TensorFlow and KeOps, hundreds of megabytes that nothing else here
needs. So this is one more backend of its MMD detector, in numpy: the kernel and the permutations are computed here, the
detector around them is alibi-detect's.
"""

from __future__ import annotations

import numpy as np

from serinus.detectors.alibi import wanted
from serinus.detectors.rows.sample import Matrix, Sample, spread

SEED = 0
PERMUTATIONS = 199
_BLOCK = 1000  # rows of the kernel matrix that are in memory at once
_MEDIAN = 500  # rows of each sample that the kernel's width is taken from


def p_value(reference: Sample, current: Sample) -> float:
    """The share of permutations of the rows that are at least as far apart; see `serinus.detectors.rows.Detector`."""
    with wanted():
        from alibi_detect.cd.base import BaseMMDDrift

    class NumpyMMD(BaseMMDDrift):  # type: ignore[misc]
        """BaseMMDDrift with the Gaussian kernel whose width is the median distance."""

        def score(self, x: Matrix) -> tuple[float, float, float]:
            """P-value, distance, and the distance that 5 % of the permutations exceed."""
            before, after = self.preprocess(x)
            drawn = distances(before, after, self.n_permutations, np.random.default_rng(SEED))
            p = float((drawn >= drawn[0]).mean())  # the samples as they are count as one of the permutations
            return p, float(drawn[0]), float(np.quantile(drawn[1:], 1 - self.p_val))

    before, after = spread(reference, current)
    return float(NumpyMMD(before, n_permutations=PERMUTATIONS).predict(after)["data"]["p_val"])


def distances(before: Matrix, after: Matrix, permutations: int, rng: np.random.Generator) -> Matrix:
    """Unbiased estimates of MMD², shape (1 + permutations,): of the samples, then of random divisions of their rows."""
    n, m = len(before), len(after)
    rows = np.vstack([before, after]).astype(np.float32)
    members = np.zeros((n + m, 1 + permutations), dtype=np.float32)  # 1: in the first sample
    members[:n, 0] = 1
    for column in range(1, 1 + permutations):
        members[rng.permutation(n + m)[:n], column] = 1
    width = _width(before, after, rng)
    norms = (rows**2).sum(axis=1)
    within, across, total = np.zeros(1 + permutations), np.zeros(1 + permutations), 0.0
    for start in range(0, n + m, _BLOCK):
        block = slice(start, start + _BLOCK)
        squared = norms[block, None] + norms[None, :] - 2 * rows[block] @ rows.T
        kernel = np.exp(-np.maximum(squared, 0) / width)
        kernel[np.arange(len(kernel)), np.arange(start, start + len(kernel))] = 0
        towards = kernel @ members  # for each row of the block its nearness to the first sample
        within += (towards * members[block]).sum(axis=0, dtype=np.float64)
        across += (towards * (1 - members[block])).sum(axis=0, dtype=np.float64)
        total += kernel.sum(dtype=np.float64)
    others = total - within - 2 * across
    found: Matrix = within / (n * (n - 1)) + others / (m * (m - 1)) - 2 * across / (n * m)
    return found


def _width(before: Matrix, after: Matrix, rng: np.random.Generator) -> float:
    """The median of the squared distances between rows, of some rows of both samples: alibi-detect's usual width.

    Drawn from both together: the permutations share this width, so that it must not depend on which row is in which.
    """
    rows = np.vstack([before, after])
    some = rows[rng.permutation(len(rows))[: 2 * _MEDIAN]]
    norms = (some**2).sum(axis=1)
    squared = norms[:, None] + norms[None, :] - 2 * some @ some.T
    median = float(np.median(squared[np.triu_indices(len(some), 1)]))
    return max(median, 1e-12) if median > 0 else 1.0
