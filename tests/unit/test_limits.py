"""What no judge could do: the best possible test of a single look, of which docs/judge.md tells the power."""

from __future__ import annotations

import pytest
from scipy.stats import binom


def best(trials: int, allowed: float, true: float, alpha: float) -> float:
    """How often Neyman and Pearson's most powerful test of one look finds `true` against `allowed`.

    It knows stable's rate, so `allowed` is exact, and draws lots at its limit, so that it spends all of alpha.
    """
    limit = int(binom.ppf(1 - alpha, trials, allowed))
    lots = (alpha - binom.sf(limit, trials, allowed)) / binom.pmf(limit, trials, allowed)
    return float(binom.sf(limit, trials, true) + lots * binom.pmf(limit, trials, true))


@pytest.mark.parametrize(
    ("trials", "stable", "margin", "canary", "found"),
    [
        (180, 0.005, 0.01, 0.05, 0.716),  # three minutes of 5 requests a second at 20 %
        (1800, 0.008, 0.01, 0.02, 0.047),  # of 50 a second
        (1800, 0.008, 0.0, 0.02, 0.983),  # without any margin
    ],
)
def test_what_is_said_of_the_best_test_is_so(
    trials: int, stable: float, margin: float, canary: float, found: float
) -> None:
    assert best(trials, stable + margin, canary, 0.01) == pytest.approx(found, abs=0.0005)


def test_the_best_test_keeps_its_error_rate() -> None:
    assert best(1800, 0.018, 0.018, 0.01) == pytest.approx(0.01)
