"""Whether scores can be taken at their word: of the rows with score p, does the share p come true?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from serinus.facts import BINS, Cell, Measured
from serinus.stats.quality import Z, by_bin, share

STEPS = 10
"""Groups of score bins of equal width."""


@dataclass(frozen=True)
class Step:
    """The labelled rows whose score is in [low, high)."""

    low: float
    high: float
    score: float  # mean
    hits: Measured  # the share that came true


def table(cells: Iterable[Cell], positive: str | None) -> tuple[Step, ...]:
    """A reliability diagram as numbers (Murphy & Winkler 1977); steps without rows are left out.

    A hit is that `positive` was true; without one, that the answer was.
    """
    rows, hits, scores = by_bin([cell for cell in cells if cell.truth is not None], positive)
    width, found = BINS // STEPS, []
    for step in range(STEPS):
        part = slice(step * width, (step + 1) * width)
        n = int(rows[part].sum())
        came = share(float(hits[part].sum()), n)
        if came is not None:
            found.append(Step(step / STEPS, (step + 1) / STEPS, float(scores[part].sum()) / n, came))
    return tuple(found)


def expected_error(steps: Iterable[Step]) -> Measured | None:
    """The expected calibration error: the mean over rows of |mean score - share that came true| of their step (Naeini,
    Cooper & Hauskrecht 2015; Guo et al. 2017). None of no rows.

    It is over 0 by chance alone, the more so the fewer the rows; its error takes the steps' signs as they are.
    """
    known = list(steps)
    n = sum(step.hits.rows for step in known)
    if n == 0:
        return None
    value = sum(step.hits.rows * abs(step.score - step.hits.value) for step in known) / n
    error = math.sqrt(sum((step.hits.rows * step.hits.error) ** 2 for step in known)) / n
    return Measured(value, error, max(value - Z * error, 0.0), min(value + Z * error, 1.0), n)
