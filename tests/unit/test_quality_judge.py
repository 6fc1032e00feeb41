"""When a version is worse in production than on its holdout, and whether that asks for a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from serinus.decide.quality import asks, judge, mature, metric_of
from serinus.facts import Cell, Measured, QualityFinding, Reference, Tally, Verdict, Window
from serinus.spec import ModelLoop
from serinus.stats import quality
from tests import data_sets

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def loop(**spec: Any) -> ModelLoop:
    return data_sets.binary(
        rows=2, collect={}, **{"quality": {"metric": "accuracy"}, "labels": {"delay": "1d"}} | spec
    )[0]


def counted(right: int, wrong: int, unlabelled: int = 0) -> tuple[Cell, ...]:
    """Answers "kept" at the score 0.2; as often right as is said."""
    rows = [("kept", right), ("returned", wrong), (None, unlabelled)]
    return tuple(Cell(truth, "kept", 20, n, 0.2 * n, 0.04 * n) for truth, n in rows if n)


def holdout(right: int = 8000, wrong: int = 2000) -> Reference:
    cells = counted(right, wrong)
    return Reference(right + wrong, quality.classified(cells, "returned"), cells, (), {})


def day(number: int, right: int, wrong: int, unlabelled: int = 0, version: int = 3) -> Tally:
    window = Window(START + number * DAY, START + (number + 1) * DAY)
    return Tally(version, window, right + wrong + unlabelled, right + wrong, counted(right, wrong, unlabelled))


def days(shares: list[float], rows: int = 1000, first: int = 0) -> list[Tally]:
    return [day(first + i, round(share * rows), rows - round(share * rows)) for i, share in enumerate(shares)]


GOOD = days([0.80, 0.79, 0.81, 0.80, 0.80, 0.79, 0.81, 0.80])
LATER = START + 60 * DAY


def judged(tallies: list[Tally], now: datetime = LATER, spec: ModelLoop | None = None) -> QualityFinding:
    return judge(spec or loop(), holdout(), 3, tallies, now, "returned")


def test_a_version_as_good_as_on_its_holdout_passes_with_figures_and_a_sentence() -> None:
    found = judged(GOOD)
    assert found.verdict.outcome == "pass"
    assert (found.version, found.metric, found.since, found.change) == (3, "accuracy", None, None)
    assert found.window == GOOD[-1].window
    assert len(found.windows) == 8
    assert found.verdict.reason == (
        "accuracy: 0.800 (0.774 to 0.824) in the window that ended 2026-01-09 00:00 UTC, 1,000 of 1,000 rows labelled,"
        " against 0.800 on the holdout; 0.02 worse is allowed; evidence that it is worse than that: "
        f"{found.verdict.figures['evidence']:.1f} (456 asks for a retrain)"
    )
    assert found.verdict.figures["holdout"] == 0.8
    assert found.verdict.figures["windows"] == 8
    assert 0.76 < found.verdict.figures["bound"] < 0.78
    assert found.verdict.figures["evidence_needed"] == pytest.approx(365 / 0.8)


def test_a_fall_fails_within_three_windows_and_says_since_when() -> None:
    found = judged([*GOOD, *days([0.65, 0.66, 0.64], first=8)])
    assert found.verdict.outcome == "fail"
    assert found.since is not None
    assert START + 9 * DAY < found.since <= START + 11 * DAY
    assert "; worse than that with evidence " in found.verdict.reason
    assert found.verdict.reason.endswith(f"(needed 456) since {found.since:%Y-%m-%d} 00:00 UTC")
    assert found.verdict.figures["evidence_peak"] >= found.verdict.figures["evidence_needed"]


def test_one_bad_day_is_not_enough() -> None:
    assert judged([*GOOD, *days([0.30], first=8)]).verdict.outcome == "pass"


def test_quality_is_back_after_two_good_windows_in_a_row() -> None:
    fallen = [*GOOD, *days([0.6] * 4, first=8)]
    assert judged(fallen).verdict.outcome == "fail"
    assert judged([*fallen, *days([0.80], first=12)]).verdict.outcome == "fail"
    assert judged([*fallen, *days([0.80, 0.60, 0.80], first=12)]).verdict.outcome == "fail"
    back = judged([*fallen, *days([0.80, 0.81, 0.74], first=12)])
    assert back.verdict.outcome == "pass"
    assert back.since is None


def test_what_stays_bad_after_the_alarm_still_fails_and_keeps_its_date_until_new_evidence_comes_together() -> None:
    found = [judged([*GOOD, *days([0.6] * n, first=8)]) for n in range(1, 12)]
    outcomes = [f.verdict.outcome for f in found]
    first = outcomes.index("fail")
    assert outcomes == ["pass"] * first + ["fail"] * (11 - first)
    assert found[first].since == found[first + 1].since != found[-1].since


def test_windows_are_judged_once_their_labels_had_time_to_come() -> None:
    bad = [*GOOD, *days([0.5] * 4, first=8)]
    assert judged(bad, START + 9 * DAY - timedelta(seconds=1)).window == GOOD[-2].window
    assert judged(bad, START + 9 * DAY).window == GOOD[-1].window
    assert judged(bad, START + 13 * DAY).verdict.outcome == "fail"
    assert mature(loop().spec, GOOD[0].window, START + 2 * DAY)
    assert not mature(loop().spec, GOOD[0].window, START + 2 * DAY - timedelta(seconds=1))


def test_windows_that_are_not_over_are_left_out_unless_there_are_no_others() -> None:
    now = START + 4 * DAY + HOUR
    assert len(judged(GOOD, now).windows) == 4
    begun = judged(GOOD[:1], START + HOUR)
    assert len(begun.windows) == 1
    assert begun.verdict.outcome == "undecided"
    assert "none of 1 windows is old enough" in begun.verdict.reason


def test_labels_that_come_late_judge_their_windows_anew() -> None:
    thin = [day(8 + i, 60, 40, unlabelled=900) for i in range(4)]
    before = judged([*GOOD, *thin])
    assert before.verdict.outcome == "pass"
    assert before.window == GOOD[-1].window
    after = judged([*GOOD, *[day(8 + i, 600, 400) for i in range(4)]])
    assert after.verdict.outcome == "fail"


@pytest.mark.parametrize(
    ("tally", "reason"),
    [
        (day(0, 100, 20), "accuracy: 120 of 120 rows of the latest window are labelled; 200 and 50% are needed"),
        (day(0, 300, 99, 601), "accuracy: 399 of 1,000 rows of the latest window are labelled; 200 and 50% are needed"),
    ],
)
def test_too_few_labels_or_too_small_a_share_decide_nothing(tally: Tally, reason: str) -> None:
    found = judged([tally])
    assert found.verdict.outcome == "undecided"
    assert found.verdict.reason.startswith(reason)
    assert found.window == tally.window
    assert found.windows[0].measured is not None


def test_without_a_reference_or_without_its_figure_nothing_is_decided_and_a_new_run_helps() -> None:
    none = judge(loop(), None, 3, GOOD, LATER, "returned")
    assert none.verdict.outcome == "undecided"
    assert none.verdict.reason == "version 3 was made without a reference (what its holdout said): a new run makes one"
    assert none.windows[0].measured is not None
    assert none.windows[0].estimated is None
    other = judge(loop(), replace(holdout(), metrics={}), 3, GOOD, LATER, "returned")
    assert other.verdict.outcome == "undecided"
    assert other.verdict.reason.startswith("the reference of version 3 has no accuracy")


def test_no_windows_decide_nothing() -> None:
    found = judged([])
    assert found.verdict.outcome == "undecided"
    assert found.window == Window(LATER - DAY, LATER)
    assert found.windows == ()


def test_other_versions_and_slices_are_left_out() -> None:
    others = [replace(t, version=2) for t in days([0.1] * 8)]
    slices = [replace(t, column="shop", value="north") for t in days([0.1] * 8)]
    assert judged([*GOOD, *others, *slices]) == judged(GOOD)


def test_windows_may_come_in_any_order_and_the_latest_thirty_are_kept() -> None:
    many = days([0.8] * 40)
    found = judged(list(reversed(many)))
    assert [w.window for w in found.windows] == [t.window for t in many[-30:]]
    assert found.verdict.figures["windows"] == 40


def test_a_figure_that_is_not_defined_judges_nothing() -> None:
    spec = loop(quality={"metric": "roc_auc"})
    reference = replace(holdout(), metrics={"roc_auc": Measured(0.8, 0.01, 0.78, 0.82, 900)})
    assert judge(spec, reference, 3, [day(0, 500, 0)], LATER, "returned").verdict.outcome == "undecided"


def test_windows_show_estimate_accuracy_and_worth_beside_the_figure() -> None:
    spec = loop(
        quality={"metric": "brier"}, value={"unit": "EUR", "worth": {"returned": {"kept": -3}, "kept": {"kept": 1}}}
    )
    window = judge(spec, holdout(), 3, [day(0, 700, 300, 10)], LATER, "returned").windows[0]
    assert window.worth == 700 - 900
    assert window.accuracy is not None
    assert window.measured is not None
    assert window.estimated is not None
    assert window.accuracy.value == 0.7
    assert window.measured.value == pytest.approx(0.7 * 0.04 + 0.3 * 0.64)
    assert window.estimated.value == pytest.approx(0.8, abs=0.001)
    unlabelled = judge(spec, holdout(), 3, [day(0, 0, 0, 10)], LATER, "returned").windows[0]
    assert (unlabelled.worth, unlabelled.accuracy, unlabelled.measured) == (None, None, None)


def test_a_holdout_without_a_mistake_is_no_proof_that_there_are_none() -> None:
    spec, perfect = loop(quality={"metric": "accuracy", "margin": 0}), holdout(500, 0)
    now_and_then = [day(i, 1000 - i % 3, i % 3) for i in range(30)]
    assert judge(spec, perfect, 3, now_and_then, LATER, "returned").verdict.outcome == "pass"
    assert judge(spec, perfect, 3, [*now_and_then, *days([0.9] * 4, first=30)], LATER).verdict.outcome == "fail"


def test_figures_that_are_all_the_same_are_judged_too() -> None:
    spec, still = loop(quality={"metric": "accuracy", "margin": 0}), Measured(0.5, 0.0, 0.5, 0.5, 100)
    found = judge(spec, replace(holdout(), metrics={"accuracy": still}), 3, GOOD, LATER, "returned")
    assert found.verdict.outcome == "pass"


def test_a_regression_is_judged_by_its_errors() -> None:
    spec = data_sets.regression(rows=2, collect={}, quality={"margin": 1.0})[0]
    rng = np.random.default_rng(1)

    def drawn(number: int, sd: float) -> Tally:
        window = Window(START + number * DAY, START + (number + 1) * DAY)
        return Tally(3, window, 500, 500, errors=quality.errors(rng.normal(0, sd, 500), np.zeros(500)))

    reference = Reference(3000, quality.regressed(quality.errors(rng.normal(0, 10, 3000), np.zeros(3000))), (), (), {})
    good = [drawn(i, 10) for i in range(10)]
    found = judge(spec, reference, 3, good, LATER)
    assert (found.metric, found.verdict.outcome) == ("rmse", "pass")
    rare = replace(reference, metrics={"rmse": Measured(123_456.0, 9.0, 123_438.0, 123_474.0, 3000)})
    assert "against 1.235e+05 on the holdout" in judge(spec, rare, 3, good, LATER).verdict.reason
    assert (found.windows[0].accuracy, found.windows[0].estimated, found.windows[0].worth) == (None, None, None)
    assert judge(spec, reference, 3, [*good, *[drawn(10 + i, 15) for i in range(3)]], LATER).verdict.outcome == "fail"


@pytest.mark.parametrize(
    ("quality_spec", "validation", "metric"),
    [
        ({"metric": "brier"}, "roc_auc", "brier"),
        ({}, "roc_auc", "roc_auc"),
        ({}, "f1", "accuracy"),
        (None, "log_loss", "log_loss"),
    ],
)
def test_the_judged_figure_is_the_one_asked_for_else_the_validations_else_the_tasks(
    quality_spec: dict[str, Any] | None, validation: str, metric: str
) -> None:
    assert metric_of(loop(quality=quality_spec, validation={"metric": validation}).spec) == metric


FALLEN = judged([*GOOD, *days([0.6] * 3, first=8)])
KNOWN = (FALLEN.since or START) + DAY


def test_a_fall_asks_for_a_run() -> None:
    asked = asks(loop(), FALLEN, None, running=False, now=KNOWN)
    assert asked
    assert asked.reason == FALLEN.verdict.reason


def test_what_passes_or_is_not_decided_asks_for_nothing() -> None:
    for outcome in ("pass", "undecided", "error"):
        finding = replace(FALLEN, verdict=Verdict("quality", outcome, "so it is"))
        assert not asks(loop(), finding, None, running=False, now=KNOWN)
    assert not asks(loop(quality=None), FALLEN, None, running=False, now=KNOWN)


def test_a_run_in_flight_or_the_cooldown_makes_a_fall_wait() -> None:
    assert "a run is in flight" in asks(loop(), FALLEN, None, running=True, now=KNOWN).reason
    ended = KNOWN - HOUR
    waiting = asks(loop(), FALLEN, ended, running=False, now=KNOWN)
    assert not waiting
    assert "cooldown" in waiting.reason
    assert asks(loop(), FALLEN, ended, running=False, now=ended + 6 * HOUR)


def test_a_run_that_ended_since_the_fall_was_known_has_answered_it() -> None:
    answered = asks(loop(), FALLEN, KNOWN, running=False, now=KNOWN + 30 * DAY)
    assert not answered
    assert answered.reason.endswith("but a run has ended since; more evidence is needed for another")
    assert not asks(loop(), replace(FALLEN, since=None), FALLEN.window.end + DAY, running=False, now=LATER)
