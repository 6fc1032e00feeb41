from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serinus.decide.data import Column, Finding, Measured, Part, decide, verdict
from serinus.spec import LoopSpec

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def loop(task: str = "binary-classification", checks: dict[str, Any] | None = None, **data: Any) -> LoopSpec:
    return LoopSpec.model_validate(
        {
            "task": task,
            "data": {
                "source": {"files": {"uri": "x"}},
                "time": "at",
                "label": "late",
                "features": {"numeric": ["temp"], "categorical": ["carrier"]},
                "checks": {"minRows": 500, "maxAge": "2d", "ranges": {"temp": [-40, 130]}, **(checks or {})},
                **data,
            },
            "training": {"estimator": "hist-gradient-boosting"},
            "validation": {"metric": "rmse" if task == "regression" else "log_loss", "slices": ["origin", "carrier"]},
        }
    )


GOOD = Measured(
    rows=1000,
    columns={
        "at": Column("timestamp[us, tz=UTC]", 0.0),
        "late": Column("string", 0.1),
        "temp": Column("double", 0.05, -10.0, 99.0),
        "carrier": Column("string", 0.0, unseen=0.01, strangers=("ZZ",)),
        "origin": Column("string", 0.0),
    },
    duplicates=0.02,
    newest=NOW - timedelta(hours=30),
    train=Part(800, {"no": 600, "yes": 200}),
    holdout=Part(100, {"no": 70, "yes": 30}),
)


def column(name: str, **change: Any) -> Measured:
    return replace(GOOD, columns={**GOOD.columns, name: replace(GOOD.columns[name], **change)})


def failed(measured: Measured, spec: LoopSpec | None = None) -> list[Finding]:
    return [finding for finding in decide(spec or loop(), measured, NOW) if not finding.passed]


def test_good_rows_pass_every_check_and_all_are_reported() -> None:
    findings = decide(loop(), GOOD, NOW)
    assert [(f.check, f.column) for f in findings] == [
        ("type", "at"), ("type", "late"), ("type", "temp"), ("type", "carrier"), ("type", "origin"),
        ("rows", ""), ("duplicates", ""), ("freshness", "at"),
        ("nulls", "temp"), ("finite", "temp"), ("nulls", "carrier"), ("unseen", "carrier"), ("nulls", "late"),
        ("range", "temp"), ("training rows", "late"), ("holdout rows", "late"), ("training classes", "late"),
        ("holdout classes", "late"), ("holdout classes", "late"), ("balance", "late"),
    ]  # fmt: skip
    assert verdict(findings).outcome == "pass"
    assert verdict(findings).reason == "All 20 checks of the data passed."


@pytest.mark.parametrize(
    ("measured", "check", "named", "figure", "bound"),
    [
        (column("temp", type="string", low=None, high=None), "type", "temp", "string", "double"),
        (replace(GOOD, rows=499), "rows", "", "499", ">= 500"),
        (replace(GOOD, duplicates=0.6), "duplicates", "", "60.0%", "<= 50.0%"),
        (replace(GOOD, duplicates=math.nan), "duplicates", "", "not a number", "<= 50.0%"),
        (replace(GOOD, newest=NOW - timedelta(days=3)), "freshness", "at", "3d old", "<= 2d"),
        (replace(GOOD, newest=NOW + timedelta(days=3)), "freshness", "at", "3d in the future", "<= 2d"),
        (column("temp", nulls=0.21), "nulls", "temp", "21.0%", "<= 20.0%"),
        (column("late", nulls=0.21), "nulls", "late", "21.0%", "<= 20.0%"),
        (column("temp", infinite=2), "finite", "temp", "2", "0"),
        (column("carrier", unseen=0.06), "unseen", "carrier", "6.0%", "<= 5.0%"),
        (column("temp", low=-41.0), "range", "temp", "-41 to 99", "-40 to 130"),
        (column("temp", high=131.0), "range", "temp", "-10 to 131", "-40 to 130"),
        (column("temp", high=math.nan), "range", "temp", "-10 to nan", "-40 to 130"),
        (replace(GOOD, train=Part(49, {"no": 25, "yes": 24})), "training rows", "late", "49", ">= 50"),
        (replace(GOOD, holdout=Part(49, {"no": 25, "yes": 24})), "holdout rows", "late", "49", ">= 50"),
        (replace(GOOD, holdout=Part(100, {"no": 100})), "holdout classes", "late", "1", "2"),
        (replace(GOOD, train=Part(800, {"no": 795, "yes": 5}), holdout=Part(100, {"no": 97, "yes": 3})),
         "balance", "late", "0.9%", ">= 1.0%"),
    ],
)  # fmt: skip
def test_one_fault_is_one_finding_with_its_figure_and_bound(
    measured: Measured, check: str, named: str, figure: str, bound: str
) -> None:
    found = [f for f in failed(measured) if not (check == "type" and f.check == "range")]
    assert [(f.check, f.column, f.figure, f.bound) for f in found] == [(check, named, figure, bound)]
    assert named in found[0].reason


def test_sentences_name_the_column_the_figure_and_the_bound() -> None:
    found = failed(column("carrier", unseen=0.06))[0]
    assert found.reason == (
        "Column carrier: 6.0% of the rows have a category that the champion never saw (ZZ); "
        "checks.maxUnseenFraction allows 5.0%."
    )
    assert "(ZZ)" not in failed(column("carrier", unseen=0.06, strangers=()))[0].reason


def test_a_missing_column_is_said_once_and_beside_the_others() -> None:
    measured = replace(
        GOOD, rows=3, columns={name: c for name, c in GOOD.columns.items() if name not in ("temp", "origin")}
    )
    found = failed(measured)
    assert [(f.check, f.column, f.figure) for f in found] == [
        ("schema", "temp", "no such column"),
        ("schema", "origin", "no such column"),
        ("rows", "", "3"),
        ("range", "temp", "no such column"),
    ]
    assert found[0].reason == "Column temp: expected, found at, late, carrier."
    assert found[1].bound == "any type"


def test_a_column_of_nulls_has_no_range_to_break() -> None:
    found = failed(column("temp", nulls=1.0, low=None, high=None))
    assert [f.check for f in found] == ["nulls"]


def test_a_range_of_text_is_a_mistake_in_the_spec() -> None:
    found = failed(GOOD, loop(checks={"ranges": {"carrier": [0, 1]}}))
    assert [(f.check, f.column, f.figure) for f in found] == [("range", "carrier", "string")]


def test_without_a_maximal_age_any_age_is_good() -> None:
    old = replace(GOOD, newest=NOW - timedelta(days=4000))
    assert failed(old, loop(checks={"maxAge": None})) == []


def test_classes_that_only_the_holdout_has_are_named() -> None:
    measured = replace(GOOD, holdout=Part(100, {"no": 60, "perhaps": 40}))
    found = failed(measured)
    assert [(f.check, f.figure) for f in found] == [("holdout classes", "1 new")]
    assert "(perhaps)" in found[0].reason


def test_three_classes_fit_only_a_multiclass_task() -> None:
    three = {"no": 400, "perhaps": 200, "yes": 200}
    measured = replace(GOOD, train=Part(800, three), holdout=Part(100, {"no": 60, "yes": 40}))
    assert [f.check for f in failed(measured)] == ["training classes"]
    assert failed(measured, loop("multiclass-classification")) == []


def test_a_long_list_of_classes_is_cut() -> None:
    many = {f"class {i:02}": 20 for i in range(30)}
    found = failed(replace(GOOD, holdout=Part(600, many)))
    assert found[0].reason.endswith("class 08, class 09, ...), expected 2.")


def test_no_labelled_rows_at_all_is_a_finding_and_no_crash() -> None:
    found = failed(replace(GOOD, train=Part(0), holdout=Part(0)))
    assert [(f.check, f.figure) for f in found] == [
        ("training rows", "0"), ("holdout rows", "0"), ("training classes", "0"), ("holdout classes", "0"),
    ]  # fmt: skip
    assert "(none)" in found[2].reason


@pytest.mark.parametrize(("positive", "fine"), [("yes", True), ("YES", True), ("late", False)])
def test_the_positive_class_must_be_one_of_the_label(positive: str, fine: bool) -> None:
    found = failed(GOOD, loop(positive=positive))
    assert [f.check for f in found] == ([] if fine else ["positive"])


def test_a_regression_needs_numbers_and_rows_but_no_classes() -> None:
    numbers = replace(column("late", type="double", low=0.0, high=9.0), train=Part(800), holdout=Part(100))
    assert failed(numbers, loop("regression")) == []
    assert [f.check for f in failed(GOOD, loop("regression"))] == ["type"]


def test_all_failures_come_first_and_make_one_verdict() -> None:
    findings = decide(loop(), replace(column("temp", nulls=0.5), rows=10), NOW)
    assert [f.passed for f in findings[:3]] == [False, False, True]
    found = verdict(findings)
    assert found.outcome == "fail"
    assert found.reason == (
        "The window has 10 rows; checks.minRows asks for at least 500. "
        "Column temp: 50.0% nulls; checks.maxNullFraction allows 20.0%."
    )
    assert found.figures == {"checks": 20.0, "failed": 2.0}
