"""How groups were treated, as a person reads it from tallies of production."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from serinus.decide.fairness import columns, gaps
from serinus.facts import Cell, Tally, Window
from serinus.spec import ModelLoop
from services.cli import fairness
from tests import data_sets

START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=1))


def loop() -> ModelLoop:
    asked = {"groups": ["shop", "region"], "metric": "equalOpportunity", "maxGap": 0.1, "minRows": 50}
    return data_sets.binary(2, validation={"metric": "roc_auc", "fairness": asked})[0]


def group(value: str, hits: int, rows: int, version: int = 1) -> Tally:
    """Rows whose truth is yes, of which so many were answered yes."""
    cells = (Cell("yes", "yes", 80, hits, 0.0, 0.0), Cell("yes", "no", 20, rows - hits, 0.0, 0.0))
    return Tally(version, WINDOW, rows, rows, cells, column="shop", value=value)


def said(*tallies: Tally, positive: str | None = "yes") -> list[str]:
    return [line.plain for line in fairness.lines(loop(), tallies, {1: positive})]


def test_groups_are_columns_that_the_collector_knows() -> None:
    assert columns(loop()) == ("shop",)
    assert columns(data_sets.binary(2)[0]) == ()
    assert gaps(data_sets.binary(2)[0], 1, [group("a", 180, 200), group("b", 100, 200)], "yes") == ()


def test_the_gap_stands_beside_what_is_allowed() -> None:
    (line,) = said(group("a", 180, 200), group("b", 100, 200))
    assert line.startswith("version 1: equalOpportunity by shop  gap 0.400 (0.3")
    assert line.endswith("; 0.1 is allowed")


def test_windows_of_a_group_are_added_up_and_other_versions_are_none_of_it() -> None:
    assert said(group("a", 90, 100), group("a", 90, 100), group("b", 180, 200), group("b", 0, 200, 2))[0].startswith(
        "version 1: equalOpportunity by shop  gap 0.000"
    )


def test_one_large_group_says_nothing_of_a_gap() -> None:
    assert said(group("a", 180, 200), group("b", 1, 20)) == [
        "version 1: equalOpportunity by shop  fewer than two groups of 50 rows"
    ]


def test_a_version_whose_positive_class_is_unknown_is_left_out() -> None:
    assert said(group("a", 180, 200), group("b", 100, 200), positive=None) == []
