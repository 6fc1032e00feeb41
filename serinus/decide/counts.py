"""From the counters' increases to the trials and failures that the judge compares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from serinus.facts import Arm, Block, CountsQuestion, Series

PREDICTIONS = "serinus_predictions_total"
SECONDS = "serinus_prediction_seconds_bucket"


def block(
    question: CountsQuestion, predictions: Sequence[Series], buckets: Sequence[Series], threshold: timedelta
) -> Block:
    """Both arms of `question`. A version without any series has had no answers: undecided, never good."""
    return Block(
        question.start,
        question.end,
        stable=_arm(question.stable, predictions, buckets, threshold),
        canary=_arm(question.canary, predictions, buckets, threshold),
    )


def _arm(version: int | None, predictions: Sequence[Series], buckets: Sequence[Series], threshold: timedelta) -> Arm:
    outcomes = {"ok": 0.0, "invalid": 0.0, "error": 0.0}
    for series in predictions:
        if series.labels.get("version") == str(version):
            outcomes[series.labels["outcome"]] += series.increase
    cumulative: dict[float, float] = {}
    for series in buckets:
        if series.labels.get("version") == str(version):
            bound = float(series.labels["le"])
            cumulative[bound] = cumulative.get(bound, 0.0) + series.increase
    timed = cumulative.get(math.inf, 0.0)
    # The largest bucket within the threshold: predictors have one exactly there, unless it was edited since.
    within = max((bound for bound in cumulative if bound <= threshold.total_seconds()), default=None)
    arm = Arm(round(outcomes["ok"] + outcomes["error"]), round(outcomes["error"]), round(outcomes["invalid"]))
    if within is None:
        return arm  # its buckets cannot tell fast from slow: that is no data, not "all fast"
    return replace(arm, timed=round(timed), slow=max(0, round(timed - cumulative[within])))
