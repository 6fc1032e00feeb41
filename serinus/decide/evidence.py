"""The evidence that a version is worse in production than on its holdout by more than a margin, window by window.

Two things make a figure worse though the version is not. The holdout itself is a sample: the bound is its confidence
bound, which fails for one version in five, and the others get the longer mean time that makes up for it. And days
differ beyond what chance in their rows explains (storms, weekends): how much is learned from the windows before each
one, and counts as error of the window, and of the holdout, which has days too. What is learned is an estimate, so that
the promise about false alarms is as good as that; tests/simulation counts them over years of days of many kinds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

from serinus.facts import Measured
from serinus.spec import LoopSpec, QualitySpec
from serinus.spec.budget import apart
from serinus.stats import edetector, spread
from serinus.stats.figures import LOWER_IS_BETTER
from serinus.stats.quality import Z

HOLDOUT_FAILS = 0.2  # for how many versions the holdout's confidence bound may be too good
GUESS = 0.5  # of the margin: the first guess at the standard deviation between windows
WEIGHT = 4  # and it counts as so many windows
TINY = 1e-9


@dataclass(frozen=True)
class Weighed:
    """What the e-detector showed over the windows, oldest first."""

    bound: float  # what the latest window was held against, in the metric's own direction
    between: float  # root of the long-run variance between windows, as the ones before the latest show it
    values: tuple[float, ...]  # of the detector after each window
    needed: float  # the value that alarms, and from which it starts anew
    alarms: tuple[int, ...]  # the windows that did
    standing: bool  # whether there was an alarm, and never since two windows in a row that were within the bound


def weigh(spec: LoopSpec, metric: str, holdout: Measured, windows: Sequence[Measured]) -> Weighed:
    """The evidence of `windows` (one at least), figures of `metric`, against the holdout's.

    In here everything is a loss: larger is worse.
    """
    rules = spec.quality or QualitySpec()
    sign = 1.0 if metric in LOWER_IS_BETTER else -1.0
    z = NormalDist().inv_cdf(1 - HOLDOUT_FAILS)
    days = max(spec.data.holdout / rules.window, 1.0)  # windows that the holdout spans
    unsure = _error(holdout)
    # How sure a window's figure is goes by its rows as the holdout's does: known before the window.
    alike = [unsure * math.sqrt(holdout.rows / m.rows) for m in windows]
    within = [max(a, _error(m)) for a, m in zip(alike, windows, strict=True)]
    guess = (GUESS * max(rules.margin, unsure)) ** 2
    variances = spread.between([m.value for m in windows], within, guess, WEIGHT)
    bounds = [sign * holdout.value + z * math.sqrt(unsure**2 + v / days) + rules.margin for v in variances]
    seen = [
        edetector.Seen(sign * m.value - bound, math.sqrt(a**2 + v), math.sqrt(w**2 + v))
        for m, bound, a, w, v in zip(windows, bounds, alike, within, variances, strict=True)
    ]
    needed = max(apart(rules.false_alarms) / rules.window, 1.0) / (1 - HOLDOUT_FAILS)
    path = edetector.run(seen, needed)
    good = [s.over <= 0 for s in seen[path.alarms[-1] + 1 :]] if path.alarms else []
    return Weighed(
        bound=sign * bounds[-1],
        between=math.sqrt(variances[-1]),
        values=tuple(math.exp(log) for log in path.logs),
        needed=needed,
        alarms=path.alarms,
        standing=bool(path.alarms) and not any(one and next_ for one, next_ in pairwise(good)),
    )


def _error(figure: Measured) -> float:
    """The standard error, by the interval where that is wider: of rows that are all alike the error itself is 0."""
    return max(figure.error, (figure.high - figure.low) / (2 * Z), TINY)
