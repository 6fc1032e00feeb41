"""False alarms of drift in simulated years, and how soon a small shift is found; `drift_worlds` counts 200 years."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from serinus.facts import DriftFinding
from serinus.spec import DriftSpec
from tests.simulation import drift_worlds as worlds

DAILY = DriftSpec.model_validate({"every": "1d", "minRows": 100, "retrain": {"violations": 1, "of": 1}})
HOURLY = DAILY.model_copy(update={"every": timedelta(hours=1)})


@pytest.mark.parametrize("world", ["independent", "repeated", "bursts", "daily"])
def test_where_nothing_changes_the_budget_is_kept(world: str) -> None:
    """A quarter of a year of windows of a day, of which the budget allows one to ask for a retrain."""
    told = worlds.years(DAILY, worlds.WORLDS[world], 2_000, 0.25, seed=7)
    assert (told.looks, told.asks) == (90, told.violations)
    assert told.asks <= 1


def test_looks_that_share_their_rows_keep_it_too() -> None:
    """Two months, a look every hour at the last day."""
    told = worlds.years(HOURLY, worlds.independent, 600, 0.16, seed=7)
    assert (told.looks, told.asks) == (1440, 0)


def test_rows_taken_for_independent_that_are_not_break_the_budget() -> None:
    """The same row twenty times: what `clumps` is for."""
    ignored = DAILY.model_copy(update={"clumps": "ignored"})
    assert worlds.years(ignored, worlds.repeated, 2_000, 0.16, seed=7).asks > 10


def test_a_feature_that_moved_a_quarter_of_a_deviation_is_found_in_its_first_window() -> None:
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        known = next(worlds.learned(worlds.independent, seed))
        counts = worlds.independent(rng, 2_000, worlds.LOOKBACK)
        moved = worlds.shifted(worlds.independent, 0.25)(rng, 2_000, worlds.DAY)
        counts[-worlds.DAY :] = moved
        found.append(_named(worlds.look(HOURLY, known, counts, len(counts))))
    assert found.count(["f3"]) >= 4


def test_what_is_no_suspect_passes() -> None:
    """The looks that a stretch leaves out by the size of the change alone."""
    rng, known = np.random.default_rng(3), next(worlds.learned(worlds.lasting, 3))
    counts = worlds.lasting(rng, 400, worlds.LOOKBACK + 10 * worlds.DAY)
    ends = np.arange(worlds.LOOKBACK + worlds.DAY, len(counts) + 1, worlds.DAY)
    could = worlds.could(DAILY, known.profile, counts, ends)
    for end, suspect in zip(ends.tolist(), could.tolist(), strict=True):
        finding = worlds.look(DAILY.model_copy(update={"clumps": "ignored"}), known, counts, end)
        assert suspect or finding.verdict.outcome == "pass"


def _named(finding: DriftFinding) -> list[str]:
    return [feature.name for feature in finding.features if feature.drifted]
