"""Since when a version has been worse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from serinus.decide.onset import onset
from serinus.facts import Measured, QualityFinding, QualityWindow, Verdict, Window

START, DAY = datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=1)


def window(number: int) -> Window:
    return Window(START + number * DAY, START + (number + 1) * DAY)


def found(
    values: list[float | None], judged: int, metric: str = "accuracy", bound: float | None = 0.7
) -> QualityFinding:
    windows = tuple(
        QualityWindow(window(i), 500, 400, i <= judged, None if value is None else Measured(value, 0.02, 0.0, 1.0, 400))
        for i, value in enumerate(values)
    )
    figures = {"bound": bound} if bound is not None else {}
    return QualityFinding(1, metric, window(judged), Verdict("quality", "fail", "worse", figures), windows)


def test_it_began_with_the_first_of_the_worse_windows() -> None:
    assert onset(found([0.75, 0.76, 0.6, 0.61, 0.58], judged=4)) == Window(window(2).start, window(4).end)


def test_of_a_loss_more_is_worse() -> None:
    assert onset(found([0.5, 0.5, 0.9, 0.9], judged=3, metric="rmse")) == Window(window(2).start, window(3).end)


def test_a_single_better_day_in_between_does_not_end_it() -> None:
    assert onset(found([0.75, 0.6, 0.71, 0.6], judged=3)) == Window(window(1).start, window(3).end)


def test_what_is_not_ripe_or_has_no_figure_says_nothing() -> None:
    assert onset(found([0.75, 0.6, None, 0.1, 0.1], judged=2)) == Window(window(1).start, window(2).end)


def test_where_nothing_can_be_compared_it_is_the_judged_window() -> None:
    assert onset(found([0.6, 0.6], judged=1, bound=None)) == window(1)
    assert onset(found([0.9, 0.9], judged=1)) == window(1)
