"""How much windows differ beyond what chance in their rows explains, and how long that lasts."""

from __future__ import annotations

from collections.abc import Sequence

FAR = 5  # windows: how long effects last is told by differences over so many, beside those of neighbours
LIKE = 0.6  # the most that a window is taken to be like the one before it (autocorrelation)
ODD = 9.0  # the most that a squared difference counts for, in what was to be expected of it
WINDOWS = 15  # after so many half of the autocorrelation that they show is believed


def between(values: Sequence[float], errors: Sequence[float], guess: float, weight: float) -> list[float]:
    """For every window the long-run variance between windows, as the windows before it show it.

    values: figures in the order of time; errors: their standard errors within the window. `guess` is the variance that
    is taken while nothing is known, and counts as `weight` windows; what is found is a twentieth of it at least.

    The long-run variance, n times that of the mean of n windows, is v (1 + r) / (1 - r) where effects of windows have
    the variance v and follow an autoregression with autocorrelation r (a storm lasts for days, so that a second bad day
    is less of a surprise). Half the mean squared difference of neighbours (von Neumann, Kent, Bellinson & Hart 1941,
    "The mean square successive difference") is v (1 - r) beside what the errors explain, that of windows k apart
    v (1 - r^k), which gives both. k is FAR: windows two apart say little of an effect that lasts for a week, and give
    a less certain r. Differences, because a lasting change of level is in a few of them only, where it
    would be in every deviation from a mean; and each counts for a bounded multiple of what the windows before made
    likely, so that a change which is to be found does not hide itself (Huber 1964, "Robust estimation of a location
    parameter").
    """
    found, near, far, one = [], 0.0, 0.0, guess
    for i in range(len(values)):
        if i > 1:
            near += _excess(values, errors, i - 1, i - 2, one)
        if i > FAR:
            far += _excess(values, errors, i - 1, i - 1 - FAR, one)
        one = max((weight * guess + near) / (weight + max(i - 1, 0)), guess / 20)
        apart = (weight * guess + far) / (weight + max(i - FAR, 0))
        like = min(_like(apart / one) * i / (i + WINDOWS), LIKE)
        found.append(one * (1 + like) / (1 - like) ** 2)
    return found


def _like(ratio: float) -> float:
    """The autocorrelation r (of 0 to 0.95) at which differences over FAR windows are `ratio` times those of neighbours:
    (1 - r^FAR) / (1 - r), which rises with r. By halving, to 0.0005.
    """
    low, high = 0.0, 0.95
    for _ in range(11):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 - middle**FAR) / (1 - middle) < ratio else (low, middle)
    return low


def _excess(values: Sequence[float], errors: Sequence[float], a: int, b: int, before: float) -> float:
    chance = (errors[a] ** 2 + errors[b] ** 2) / 2
    return min((values[a] - values[b]) ** 2 / 2, ODD * (before + chance)) - chance
