"""What the drift job reads beside the window itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from serinus.adapters.fakes.metrics import FakeMetrics
from serinus.facts import Bins, Profile, Window
from serinus.spec import DriftSpec
from services.drift import windows
from services.drift.counts import SCORES

NOW = datetime(2026, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Window(NOW - DAY, NOW)
PROFILE = Profile(100, (), Bins("score", "numeric", (0.5,), counts=(50, 50, 0, 0)))


@pytest.fixture
def metrics() -> FakeMetrics:
    """Scores of one bin, scraped every hour: on day d before the latest, d + 1 rows an hour, for nine days."""
    made, total = FakeMetrics(), 0
    for hour in range(9 * 24 + 1):
        at = NOW - timedelta(hours=9 * 24 - hour)
        total += 1 + (9 * 24 - hour) // 24 if hour else 0
        made.scrape(SCORES, {"loop": "a", "version": "1", "bin": "1"}, at, total)
    return made


def counters(metrics: FakeMetrics, version: int = 1) -> windows.Counters:
    return windows.Counters(metrics, "a", version, "score")


def test_the_parts_of_a_window_are_the_window(metrics: FakeMetrics) -> None:
    parts = [counts for _, counts in windows.parts(counters(metrics), WINDOW)]
    assert len(parts) == windows.PARTS
    whole = counters(metrics).read(WINDOW)["score"]["1"]
    assert sum(part["score"]["1"] for part in parts) == whole


def test_windows_are_read_as_far_back_as_the_version_served(metrics: FakeMetrics) -> None:
    rows = [window["score"]["1"] for window in windows.before(counters(metrics), WINDOW)]
    assert len(rows) == 7
    assert rows == sorted(rows, reverse=True), "oldest first"
    late = Window(NOW - 7 * DAY, NOW - 6 * DAY)
    assert len(windows.before(counters(metrics), late)) == 2
    assert windows.before(counters(metrics, 2), WINDOW) == ()


def test_a_window_is_held_against_what_the_spec_says(metrics: FakeMetrics) -> None:
    older = windows.before(counters(metrics), WINDOW)

    def held(reference: str, window: Window = WINDOW) -> Profile:
        spec = DriftSpec.model_validate({"reference": reference})
        return windows.reference(spec, PROFILE, counters(metrics), window, older)

    assert held("training") is PROFILE
    assert held("rolling").score.counts == (0, sum(window["score"]["1"] for window in older), 0, 0)
    week = counters(metrics).read(Window(NOW - 8 * DAY, NOW - 7 * DAY))["score"]["1"]
    assert held("sameHourLastWeek").score.counts == (0, week, 0, 0)
    assert held("sameHourLastWeek", Window(NOW - 9 * DAY, NOW)).rows == 0, "two weeks before, when nobody served"
