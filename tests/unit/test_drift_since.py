"""The job's search for the beginning of a drift, over the counters of stretches of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from serinus.adapters.fakes.metrics import FakeMetrics
from serinus.errors import Unavailable
from serinus.facts import Bins, DriftFinding, FeatureDrift, Profile, Series, Shift, Verdict, Window
from services.drift import since
from services.drift.counts import FEATURES, SCORES
from services.drift.windows import Counters

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEMP = Bins("temp", "numeric", (10.0,), counts=(500, 500, 0, 0))
WIND = Bins("wind", "numeric", (5.0,), counts=(800, 200, 0, 0))
PROFILE = Profile(1000, (TEMP, WIND), Bins("score", "numeric", (0.5,), counts=(700, 300, 0, 0)))
CALM = {"temp": (50, 50), "wind": (80, 20), "score": (70, 30)}


@dataclass
class Counting(FakeMetrics):
    """Counts how often it is asked, and is away after so many questions."""

    asked: list[tuple[datetime, datetime]] = field(default_factory=list)
    ends: int = 10**6

    def increases(self, metric: str, labels: Mapping[str, str], start: datetime, end: datetime) -> tuple[Series, ...]:
        if len(self.asked) == self.ends:
            raise Unavailable("gone")
        self.asked.append((start, end))
        return super().increases(metric, labels, start, end)


def counters(begun: Mapping[str, timedelta], since_: timedelta = timedelta(days=6)) -> Counting:
    """Counters scraped every half hour, 100 rows each; what is in `begun` has been moved for so long."""
    metrics, at = Counting(), NOW - since_
    totals = {name: [0, 0] for name in CALM}
    while at <= NOW:
        for name, (low, high) in CALM.items():
            counted = (10, 90) if at > NOW - begun.get(name, timedelta()) else (low, high)
            labels = {"loop": "x", "version": "1"} | ({} if name == "score" else {"feature": name})
            for place in (0, 1):
                totals[name][place] += counted[place]
                bin_ = {"bin": str(place)}
                metrics.scrape(SCORES if name == "score" else FEATURES, labels | bin_, at, totals[name][place])
        at += HOUR / 2
    return metrics


def finding(*drifted: str, shift: Shift | None = None) -> DriftFinding:
    features = (FeatureDrift(name, 0.0, 0.5, name in drifted, shift or Shift(0.3)) for name in CALM)
    return DriftFinding(1, Window(NOW - 24 * HOUR, NOW), 4800, Verdict("drift", "fail", "drifted"), tuple(features))


def begun(metrics: Counting, *drifted: str, known: DriftFinding | None = None) -> dict[str, Shift | None]:
    found = since.dated(finding(*drifted), PROFILE, Counters(metrics, "x", 1, "score"), known)
    return {one.name: one.shift for one in found.features}


def test_what_began_within_the_window_is_found_in_its_parts_alone() -> None:
    metrics = counters({"temp": 6 * HOUR, "score": 9 * HOUR})
    found = begun(metrics, "temp", "score")
    assert found == {
        "temp": Shift(0.3, since=NOW - 6 * HOUR),
        "wind": Shift(0.3),
        "score": Shift(0.3, since=NOW - 9 * HOUR),
    }
    assert len(metrics.asked) == 2 * since.PARTS
    assert min(start for start, _ in metrics.asked) == NOW - 24 * HOUR


def test_earlier_windows_are_read_while_the_beginning_lies_before_what_was_read() -> None:
    metrics = counters({"temp": 45 * HOUR})
    assert begun(metrics, "temp")["temp"] == Shift(0.3, since=NOW - 45 * HOUR)
    assert len(metrics.asked) == 2 * 2 * since.PARTS


def test_no_more_windows_are_read_than_the_job_has_time_for() -> None:
    metrics = counters({"temp": 200 * HOUR})
    assert begun(metrics, "temp")["temp"] == Shift(0.3, since=NOW - since.WINDOWS * 24 * HOUR, earlier=True)
    assert len(metrics.asked) == 2 * since.WINDOWS * since.PARTS


def test_a_version_that_has_answered_so_from_its_first_row_is_not_looked_for_before_it() -> None:
    metrics = counters({"temp": 200 * HOUR}, since_=12 * HOUR)
    found = begun(metrics, "temp")["temp"]
    assert found is not None
    assert (found.since, found.earlier) == (NOW - 15 * HOUR, True)
    assert len(metrics.asked) == 2 * 2 * since.PARTS


def test_what_had_drifted_at_the_look_before_costs_no_question() -> None:
    metrics, said = counters({"temp": 6 * HOUR}), NOW - 30 * HOUR
    known = finding("temp", shift=Shift(0.2, since=said))
    assert begun(metrics, "temp", known=known)["temp"] == Shift(0.3, since=said)
    assert metrics.asked == []


@pytest.mark.parametrize(("ends", "known"), [(0, None), (5, None), (2 * since.PARTS + 3, NOW - 24 * HOUR)])
def test_counters_that_cannot_be_read_any_more_leave_open_what_they_would_say(
    ends: int, known: datetime | None
) -> None:
    metrics = counters({"temp": 45 * HOUR})
    metrics.ends = ends
    assert begun(metrics, "temp")["temp"] == Shift(0.3, since=known, earlier=known is not None)
