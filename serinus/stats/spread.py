"""How much windows differ beyond what chance in their rows explains."""

from __future__ import annotations

from collections.abc import Sequence


def between(values: Sequence[float], errors: Sequence[float], guess: float, weight: float) -> float:
    """The variance between windows, from figures in the order of time and their standard errors within a window.

    Half the mean squared difference of neighbours (von Neumann, Kent, Bellinson & Hart 1941, "The mean square
    successive difference"), less what the errors explain, as in the method of moments of DerSimonian & Laird (1986): a
    lasting change of level is in one difference only, where it would be in every deviation from a mean. `guess` is the
    variance that is taken while nothing is known, and counts as `weight` differences; the answer is a twentieth of it
    at least.
    """
    excess = 0.0
    for i in range(1, len(values)):
        excess += ((values[i] - values[i - 1]) ** 2 - errors[i] ** 2 - errors[i - 1] ** 2) / 2
    return max((weight * guess + excess) / (weight + max(len(values) - 1, 0)), guess / 20)
