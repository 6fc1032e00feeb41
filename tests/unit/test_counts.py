"""Counters' increases become the trials and failures of both arms."""

from __future__ import annotations

import math
from datetime import timedelta

from serinus.decide import counts
from serinus.facts import Arm, Block, CountsQuestion, Series
from tests.unit.loop_cases import NOW, SECOND

QUESTION = CountsQuestion(1, 2, NOW, NOW + 2 * SECOND)
THRESHOLD = timedelta(milliseconds=250)


def predictions(version: int, outcome: str, increase: float) -> Series:
    return Series({"version": str(version), "outcome": outcome}, increase, 2)


def bucket(version: int, le: str, increase: float) -> Series:
    return Series({"version": str(version), "le": le}, increase, 2)


def test_outcomes_and_slow_answers_of_each_version_are_counted_over_its_replicas() -> None:
    answered = [
        predictions(1, "ok", 90), predictions(1, "error", 1), predictions(1, "invalid", 5), predictions(2, "ok", 10),
        predictions(2, "ok", 7), predictions(3, "ok", 99),
    ]  # fmt: skip
    timed = [bucket(1, "0.25", 80), bucket(1, "+Inf", 91), bucket(2, "0.25", 17), bucket(2, "+Inf", 17)]
    assert counts.block(QUESTION, answered, timed, THRESHOLD) == Block(
        NOW,
        NOW + 2 * SECOND,
        stable=Arm(answers=91, errors=1, rejected=5, timed=91, slow=11, times=((0.25, 80), (math.inf, 11))),
        canary=Arm(answers=17, errors=0, rejected=0, timed=17, slow=0, times=((0.25, 17), (math.inf, 0))),
    )


def test_the_largest_bucket_within_the_threshold_counts_as_fast() -> None:
    timed = [bucket(2, "0.1", 5), bucket(2, "0.2", 8), bucket(2, "0.5", 10), bucket(2, "+Inf", 10)]
    assert counts.block(QUESTION, [], timed, THRESHOLD).canary.slow == 2


def test_without_a_bucket_within_the_threshold_nothing_was_timed() -> None:
    timed = [bucket(2, "0.5", 3), bucket(2, "+Inf", 10)]
    assert counts.block(QUESTION, [], timed, THRESHOLD).canary == Arm(times=((0.5, 3), (math.inf, 7)))


def labelled(version: int, truth: str, predicted: str, increase: float) -> Series:
    return Series({"version": str(version), "truth": truth, "predicted": predicted}, increase, 2)


def test_labels_that_came_are_right_or_wrong_of_each_version() -> None:
    came = [
        labelled(1, "yes", "yes", 70), labelled(1, "no", "no", 20), labelled(1, "no", "yes", 6),
        labelled(2, "no", "other", 3), labelled(2, "other", "no", 2), labelled(2, "other", "other", 50),
        labelled(3, "no", "yes", 9),
    ]  # fmt: skip
    found = counts.block(QUESTION, [predictions(2, "ok", 4)], [], THRESHOLD, came)
    assert found.stable == Arm(labelled=96, wrong=6)
    # Of two classes that the collector has no series for nobody knows whether they are the same.
    assert found.canary == Arm(answers=4, labelled=5, wrong=5)


def test_a_version_without_series_had_no_answers() -> None:
    assert counts.block(QUESTION, [], [], THRESHOLD) == Block(NOW, NOW + 2 * SECOND, Arm(), Arm())


def scored(version: int, bin: str, le: str | None, increase: float) -> Series:
    labels = {"version": str(version), "bin": bin}
    return Series(labels if le is None else {**labels, "le": le}, increase, 2)


def test_scores_are_counted_by_the_upper_edges_of_each_versions_own_bins_over_its_replicas() -> None:
    came = [
        scored(1, "1", "+Inf", 30), scored(1, "0", "0.4", 60), scored(1, "missing", "", 2), scored(1, "0", None, 3),
        scored(2, "0", "0.5", 4), scored(2, "0", "0.5", 5), scored(2, "1", "+Inf", 1), scored(3, "0", "0.4", 9),
    ]  # fmt: skip
    found = counts.block(QUESTION, [], [], THRESHOLD, scored=came)
    assert (found.stable, found.canary) == (
        Arm(scores=((0.4, 60), (math.inf, 30))), Arm(scores=((0.5, 9), (math.inf, 1)))
    )  # fmt: skip


def test_a_bucket_read_a_moment_after_the_wider_one_holds_no_less_than_nothing() -> None:
    timed = [bucket(2, "0.1", 6), bucket(2, "0.25", 5), bucket(2, "+Inf", 5)]
    assert counts.block(QUESTION, [], timed, THRESHOLD).canary.times == ((0.1, 6), (0.25, 0), (math.inf, 0))
