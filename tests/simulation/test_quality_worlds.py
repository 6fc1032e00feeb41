"""The budget of false alarms in worlds that no setting was chosen on; `benchmarks/quality_alarms.py` counts more."""

from __future__ import annotations

import numpy as np

from serinus.decide.evidence import weigh
from services.quality.job import WINDOWS
from tests.simulation import quality_looks
from tests.simulation.quality_worlds import Place, alarms, delay, loop, places, stream

BY_CHANCE = 15  # in 9 years that allow 9: more would come in one run of forty if as many came as are allowed


def test_versions_as_bad_as_is_allowed_keep_the_budget_whatever_figure_is_judged() -> None:
    chosen = [place for place in places() if place.days in ("ar 0.3", "weekly", "heavy tails")][::2]
    found = {str(place): sum(alarms(place, 1.0, 1, seed=7)) for place in chosen}
    assert len(chosen) == 9
    assert sum(found.values()) <= BY_CHANCE, found


def test_a_fall_of_three_margins_is_found_within_a_week_of_windows_of_a_thousand_rows() -> None:
    place = Place("accuracy", "ar 0.3", 0.25, 1000, 0.0, 1.0, 14)
    assert np.median([delay(place, 3.0, seed) for seed in range(9)]) <= 7


def test_years_counted_at_once_are_counted_as_the_job_looks_at_each_day() -> None:
    for number, level in ((0, 2.0), (5, 1.6), (12, 1.6)):
        place, rng = list(places())[number], np.random.default_rng(number)
        spec = loop(place)
        before, found, _ = stream(place, level, 150, rng)
        first = quality_looks.first_alarm(quality_looks.stream(spec.spec, place.metric, before, found))
        days = range(len(found)) if first is None else (*range(0, first, 7), first)
        stood = [
            weigh(spec.spec, place.metric, before, found[max(0, day + 1 - WINDOWS) : day + 1]).standing for day in days
        ]
        assert not any(stood[:-1])
        assert stood[-1] == (first is not None)
