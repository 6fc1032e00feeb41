from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.decide.champion import judge, refusals
from serinus.facts import Evaluation, FairnessGap, SliceScore, Verdict
from serinus.spec import Fairness, Validation
from serinus.stats.leaks import Leak

SPEC = Validation(metric="roc_auc", minimum=0.6, margin=0.005)
FIRST = Evaluation(
    metric="roc_auc", higher_is_better=True, rows=1000, candidate=0.72, champion=None, baseline=0.5,
    metrics={"roc_auc": 0.72}, baseline_interval=(0.2, 0.24), method="a method",
)  # fmt: skip
LATER = replace(FIRST, champion=0.70, difference=0.02, interval=(0.01, 0.03))


def outcomes(verdicts: tuple[Verdict, ...]) -> dict[str, str]:
    return {verdict.gate: verdict.outcome for verdict in verdicts}


def of(gate: str, verdicts: tuple[Verdict, ...]) -> Verdict:
    return next(verdict for verdict in verdicts if verdict.gate == gate)


def test_a_first_version_passes_on_minimum_and_baseline() -> None:
    verdicts = judge(SPEC, FIRST)
    assert verdicts == (
        Verdict(
            "minimum", "pass", "roc_auc is 0.7200 on the holdout; validation.minimum asks for at least 0.6.",
            {"candidate": 0.72, "minimum": 0.6},
        ),
        Verdict(
            "baseline", "pass",
            "roc_auc is 0.7200, 0.5000 without any feature; better by at least 0.2000 at 95% confidence.",
            {"candidate": 0.72, "baseline": 0.5, "low": 0.2, "high": 0.24},
        ),
        Verdict("leakage", "pass", "No feature tells the label by itself.", {"roc_auc": 0.72}),
    )  # fmt: skip
    assert refusals(verdicts) == []


def test_below_the_minimum_is_refused() -> None:
    verdict = of("minimum", judge(SPEC, replace(FIRST, candidate=0.59)))
    assert verdict.outcome == "fail"
    assert verdict.reason == "roc_auc is 0.5900 on the holdout; validation.minimum asks for at least 0.6."


def test_without_a_minimum_only_the_comparisons_count() -> None:
    assert outcomes(judge(Validation(metric="roc_auc"), FIRST)) == {"baseline": "pass", "leakage": "pass"}


@pytest.mark.parametrize(("candidate", "outcome"), [(4.0, "pass"), (5.0, "pass"), (5.1, "fail")])
def test_for_an_error_the_minimum_is_a_maximum(candidate: float, outcome: str) -> None:
    spec = Validation(metric="rmse", minimum=5.0)
    found = of("minimum", judge(spec, replace(FIRST, metric="rmse", higher_is_better=False, candidate=candidate)))
    assert found.outcome == outcome
    assert "at most 5." in found.reason


def test_a_gain_over_the_baseline_that_may_be_chance_is_refused() -> None:
    found = of("baseline", judge(SPEC, replace(FIRST, baseline_interval=(-0.01, 0.4))))
    assert found.outcome == "fail"
    assert found.reason.endswith("the gain may be -0.0100, so the features were not shown to help.")


def test_a_clearly_better_candidate_passes_with_all_figures() -> None:
    assert of("champion", judge(SPEC, LATER)) == Verdict(
        "champion", "pass",
        "roc_auc is 0.7200 against the champion's 0.7000 on the same 1000 rows; the difference, positive being better, "
        "is +0.0200, between +0.0100 and +0.0300 at 95% confidence: not worse by more than the margin 0.005.",
        {"candidate": 0.72, "champion": 0.70, "difference": 0.02, "low": 0.01, "high": 0.03, "margin": 0.005},
    )  # fmt: skip


def test_a_worse_candidate_is_refused() -> None:
    found = of("champion", judge(SPEC, replace(LATER, difference=-0.02, interval=(-0.03, -0.01))))
    assert (found.outcome, found.reason.endswith("worse by at least the margin 0.005.")) == ("fail", True)


def test_an_interval_that_reaches_past_the_margin_is_refused_and_says_how_many_rows_could_tell() -> None:
    found = of("champion", judge(SPEC, replace(LATER, difference=0.0, interval=(-0.01, 0.01))))
    assert found.outcome == "fail"
    # Twice the reach for the margin: four times the rows.
    assert found.reason.endswith("margin 0.005; some 4000 holdout rows or a wider margin could tell.")
    hopeless = of("champion", judge(SPEC, replace(LATER, difference=-0.004, interval=(-0.03, 0.022))))
    assert hopeless.reason.endswith("margin 0.005; many more holdout rows or a wider margin could tell.")


@given(st.floats(-0.1, 0.1), st.floats(0, 0.1))
def test_exactly_the_candidates_whose_interval_lies_above_the_margin_pass(middle: float, reach: float) -> None:
    verdict = of("champion", judge(SPEC, replace(LATER, difference=middle, interval=(middle - reach, middle + reach))))
    assert (verdict.outcome == "pass") == (middle - reach >= -0.005)


def test_a_champion_that_could_not_be_compared_leaves_minimum_and_baseline_to_decide() -> None:
    verdicts = judge(SPEC, FIRST, incomparable="its label was late, and is now tardy")
    found = of("champion", verdicts)
    assert found.outcome == "undecided"
    assert found.reason == "The champion could not be compared: its label was late, and is now tardy."
    assert refusals(verdicts) == []
    assert refusals(judge(SPEC, replace(FIRST, candidate=0.5), incomparable="it went")) != []


NAN = math.nan


@pytest.mark.parametrize(
    ("change", "gate", "named"),
    [
        ({"candidate": NAN}, "minimum", "candidate"),
        ({"candidate": NAN}, "baseline", "candidate"),
        ({"baseline": NAN}, "baseline", "baseline"),
        ({"baseline_interval": None}, "baseline", "low, high"),
        ({"champion": NAN}, "champion", "champion"),
        ({"interval": None}, "champion", "low, high"),
        ({"difference": None}, "champion", "difference"),
        ({"interval": (-math.inf, 0.1)}, "champion", "low"),
    ],
)
def test_a_deciding_figure_that_is_not_a_number_keeps_the_gate_shut(
    change: dict[str, Any], gate: str, named: str
) -> None:
    verdicts = judge(SPEC, replace(LATER, **change))
    found = of(gate, verdicts)
    assert found.outcome == "error"
    assert f"expected numbers, but {named} could not be computed" in found.reason
    assert all(math.isfinite(figure) for figure in found.figures.values())
    assert found.reason in refusals(verdicts)


def piece(candidate: float, rows: int = 500, error: float | None = 0.001, value: str = "JFK") -> SliceScore:
    return SliceScore("origin", value, rows, candidate, 0.7, error)


def slices(*pieces: SliceScore, **change: Any) -> str | None:
    return outcomes(judge(SPEC, replace(LATER, slices=pieces, **change))).get("slices")


def test_a_slice_that_is_clearly_worse_is_refused_by_name() -> None:
    verdicts = judge(SPEC, replace(LATER, slices=(piece(0.6), piece(0.69, value="EWR", error=None))))
    found = of("slices", verdicts)
    assert found.outcome == "fail"
    assert found.reason == (
        "roc_auc is worse than the champion's by more than 0.05 where origin=JFK (0.6000 against 0.7000 on 500 rows)."
    )
    assert found.figures == pytest.approx({"origin=JFK": -0.1, "origin=EWR": -0.01})


def test_slices_decide_only_when_large_and_compared() -> None:
    assert slices(piece(0.6, rows=199)) is None
    assert slices(SliceScore("origin", "JFK", 500, 0.1, None)) is None
    assert slices(piece(0.66)) == "pass"


def test_a_noisy_slice_is_chance_until_its_error_says_otherwise() -> None:
    assert slices(piece(0.6, error=0.06)) == "pass"
    assert slices(piece(0.6, error=0.05)) == "fail"  # 2 standard errors, and one slice asks for 1.96
    assert slices(piece(0.6, error=0.05), piece(0.7, value="EWR")) == "pass"  # two slices ask for 2.24
    assert slices(piece(0.6, error=None)) == "fail"  # nothing speaks for chance
    assert slices(piece(0.6, error=NAN)) == "fail"
    assert slices(piece(NAN)) == "fail"


def test_for_an_error_a_slice_is_worse_when_larger() -> None:
    changed = {"metric": "rmse", "higher_is_better": False}
    assert slices(piece(0.8), **changed) == "fail"
    assert slices(piece(0.6), **changed) == "pass"


def test_leaks_are_refused_with_their_reasons() -> None:
    leak = Leak("arrival", "ranks the rows like the label by itself (AUC)", 1.0)
    verdict = of("leakage", judge(SPEC, replace(FIRST, metrics={"roc_auc": 0.9995}), [leak]))
    assert verdict == Verdict(
        "leakage", "fail",
        "The label seems to have leaked into the features: feature arrival ranks the rows like the label by itself "
        "(AUC): 1; roc_auc 0.9995 is over 0.999, too good to be true on unseen rows.",
        {"arrival": 1.0, "roc_auc": 0.9995},
    )  # fmt: skip


def test_a_regression_has_no_auc_to_be_too_good() -> None:
    assert of("leakage", judge(SPEC, replace(FIRST, metrics={"rmse": 1.0}))).outcome == "pass"


# --- fairness -------------------------------------------------------------------------------------------------------

FAIR = Validation(metric="roc_auc", fairness=Fairness(groups=("sex", "age"), max_gap=0.1))
SEX = FairnessGap(
    "sex", "equalOpportunity", 0.25, 0.15, 0.35, {"f": 0.5, "m": 0.75, "x": 1.0}, {"f": 400, "m": 300, "x": 9}
)
AGE = FairnessGap("age", "equalOpportunity", 0.02, 0.0, 0.08, {"old": 0.5, "young": 0.52}, {"old": 900, "young": 900})
ALONE = FairnessGap("age", "equalOpportunity", 0.0, 0.0, 1.0, {"old": 0.5, "young": 0.9}, {"old": 900, "young": 99})


def fairness(*gaps: FairnessGap) -> Verdict:
    return of("fairness", judge(FAIR, replace(FIRST, fairness=gaps)))


def test_a_gap_whose_whole_interval_is_too_large_is_refused_with_the_groups_that_decide() -> None:
    assert fairness(SEX, AGE) == Verdict(
        "fairness", "fail",
        "equalOpportunity differs by more than 0.1 between groups: "
        "sex by 0.250 (m 0.750, f 0.500), between 0.150 and 0.350.",
        {"sex gap": 0.25, "sex low": 0.15, "sex high": 0.35, "age gap": 0.02, "age low": 0.0, "age high": 0.08},
    )  # fmt: skip


def test_a_gap_that_is_shown_to_be_small_passes() -> None:
    assert fairness(AGE) == Verdict(
        "fairness", "pass",
        "equalOpportunity differs by at most 0.1: age by 0.020 (young 0.520, old 0.500), between 0.000 and 0.080.",
        {"age gap": 0.02, "age low": 0.0, "age high": 0.08},
    )  # fmt: skip


@pytest.mark.parametrize("low", [0.0, 0.1])
def test_a_gap_that_may_be_chance_refuses_nothing_and_is_said(low: float) -> None:
    verdict = fairness(replace(SEX, low=low), AGE)
    assert verdict.outcome == "undecided"
    assert verdict.reason == (
        "Whether equalOpportunity differs by more than 0.1 is not shown: "
        f"sex by 0.250 (m 0.750, f 0.500), between {low:.3f} and 0.350."
    )
    assert refusals([verdict]) == []


def test_groups_that_are_too_small_to_tell_are_undecided_and_named() -> None:
    verdict = fairness(ALONE)
    assert (verdict.outcome, verdict.figures) == ("undecided", {})
    assert verdict.reason.endswith("is not shown: age has fewer than two groups with 100 rows to tell.")
    assert fairness(SEX, ALONE).outcome == "fail"


def test_a_champion_that_cannot_be_compared_does_not_excuse_a_gap() -> None:
    verdicts = judge(FAIR, replace(FIRST, fairness=(SEX,)), incomparable="its task was regression")
    assert outcomes(verdicts)["fairness"] == "fail"
