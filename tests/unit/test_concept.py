"""Whether the inputs moved or their answers changed, told from regions whose losses are known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from serinus.decide.concept import explain, loss, region_of
from serinus.facts import Condition, Prediction, Record, Reference, Region, Value

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def record(
    features: Mapping[str, Value], truth: str | float | None, score: float = 0.5, answer: str = "no", hours: float = 0.0
) -> Record:
    time = NOW + timedelta(hours=hours)
    return Record(Prediction("r", 3, time, features, score, answer), truth, time)


EASY = Region((Condition("x", high=0.0),), 500, 0.05, 0.05)
HARD = Region((Condition("x", low=0.0),), 500, 0.20, 0.15)
REFERENCE = Reference(1000, {}, (), (EASY, HARD), {})


def stream(easy: int, hard: int, wrong_easy: float, wrong_hard: float, days: int = 10, seed: int = 1) -> list[Record]:
    """Answers "no" with certainty; so many of the rows on each side of 0 turn out to be "yes"."""
    rng = np.random.default_rng(seed)
    wrong = [*(rng.random(easy) < wrong_easy), *(rng.random(hard) < wrong_hard)]
    return [
        record({"x": -1.0 if i < easy else 1.0}, "yes" if w else "no", 0.0, hours=24.0 * (i % days))
        for i, w in enumerate(wrong)
    ]


def test_inputs_that_moved_into_a_hard_region_are_data_drift() -> None:
    found = explain(REFERENCE, stream(200, 1800, 0.05, 0.20), "yes")
    assert found.kind == "data"
    assert found.data == pytest.approx(1, abs=0.25)
    assert found.concept + found.data == pytest.approx(1)
    assert found.reason.startswith("the squared error rose from 0.1250 to 0.17")
    assert "+0.0600 (0.0" in found.reason
    assert found.reason.endswith("because the inputs moved")


def test_the_same_inputs_answered_worse_are_concept_drift() -> None:
    found = explain(REFERENCE, stream(1000, 1000, 0.15, 0.35), "yes")
    assert found.kind == "concept"
    assert found.concept == pytest.approx(1, abs=0.15)
    assert 0 < found.error < 0.1


def test_both_at_once_are_told_as_both() -> None:
    found = explain(REFERENCE, stream(300, 1700, 0.12, 0.28), "yes")
    assert found.kind == "both"
    assert 0.3 < found.concept < 0.8


def test_a_loss_that_did_not_rise_is_unclear() -> None:
    found = explain(REFERENCE, stream(500, 500, 0.05, 0.20), "yes")
    assert found.kind == "unclear"
    assert (found.concept, found.data, found.error) == (0, 0, 0)
    assert "chance explains" in found.reason


def test_a_rise_of_which_no_part_is_sure_is_unclear() -> None:
    """Both parts are small beside their errors, and only together they are more than chance."""
    sure = Reference(
        40_000, {}, (), (Region(EASY.conditions, 20_000, 0.05, 0.05), Region(HARD.conditions, 20_000, 0.2, 0.15)), {}
    )
    found = explain(sure, stream(40, 60, 0.05, 0.20, seed=13), "yes")
    assert found.kind == "unclear"


def test_one_odd_day_proves_no_change_of_the_concept() -> None:
    calm = stream(800, 800, 0.05, 0.20, days=8)
    storm = [record({"x": 1.0}, "yes", 0.0, hours=24 * 20) for _ in range(150)]
    found = explain(REFERENCE, [*calm, *storm], "yes")
    assert found.kind == "unclear"
    spread = [record({"x": 1.0}, "yes", 0.0, hours=24.0 * (i % 8)) for i in range(150)]
    assert explain(REFERENCE, [*calm, *spread], "yes").kind == "concept"


def test_days_are_not_told_apart_where_there_are_fewer_than_three() -> None:
    assert explain(REFERENCE, stream(1000, 1000, 0.15, 0.35, days=2), "yes").kind == "concept"


def test_too_little_says_what_is_missing() -> None:
    rows = stream(500, 500, 0.3, 0.3)
    assert explain(Reference(1000, {}, (), (), {}), rows, "yes").reason.startswith("the holdout was too small")
    unlabelled = [record({"x": 1.0}, None) for _ in range(500)]
    few = explain(REFERENCE, [*rows[:29], *unlabelled], "yes")
    assert (few.kind, few.reason) == ("unclear", "29 labelled rows; 30 are needed to say what changed")
    hashed = explain(REFERENCE, [record({"x": "4a1f"}, "yes") for _ in range(100)] + rows[:90], "yes")
    assert hashed.kind == "unclear"
    assert hashed.reason.startswith("only 90 of 190 labelled rows have inputs that the holdout's regions know")


def test_the_loss_is_the_squared_error_of_what_the_score_says() -> None:
    assert loss(record({}, "yes", 0.8), "yes") == pytest.approx(0.04)
    assert loss(record({}, "no", 0.8), "yes") == pytest.approx(0.64)
    assert loss(record({}, "oats", 0.9, "oats"), None) == pytest.approx(0.01)
    assert loss(record({}, "rye", 0.9, "oats"), None) == pytest.approx(0.81)
    assert loss(record({}, 3.0, 5.0), None) == 4
    assert loss(record({}, None), "yes") is None


REGIONS = (
    Region((Condition("n", low=1.0, high=2.0), Condition("c", categories=("a", "b"))), 100, 0.1, 0.1),
    Region((Condition("n", low=2.0, missing=True),), 100, 0.1, 0.1),
    Region((Condition("score", high=0.1), Condition("n", high=1.0)), 100, 0.1, 0.1),
)


@pytest.mark.parametrize(
    ("features", "score", "place"),
    [
        ({"n": 2.0, "c": "a"}, 0.5, 0),
        ({"n": 1.0, "c": "a"}, 0.5, None),
        ({"n": 1.0, "c": "a"}, 0.1, 2),
        ({"n": 2.0, "c": "z"}, 0.5, None),
        ({"n": 2.0, "c": 7.0}, 0.5, None),
        ({"n": 2.0, "c": None}, 0.5, None),
        ({"n": 2.5}, 0.5, 1),
        ({"n": None}, 0.5, 1),
        ({"n": float("nan")}, 0.5, 1),
        ({"n": "text"}, 0.5, None),
        ({}, 0.05, None),
        ({"n": 0, "score": 99.0}, 0.05, 2),
    ],
)
def test_a_record_is_in_the_region_whose_conditions_all_hold(
    features: Mapping[str, Value], score: float, place: int | None
) -> None:
    assert region_of(REGIONS, record(features, "yes", score)) == place
