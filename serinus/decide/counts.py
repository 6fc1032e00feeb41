"""From the counters' increases to the trials and failures that the judge compares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from serinus.decide.cuts import Bins
from serinus.facts import Arm, Block, CountsQuestion, Series
from serinus.spec import Ratio

PREDICTIONS = "serinus_predictions_total"
SECONDS = "serinus_prediction_seconds_bucket"
LABELLED = "serinus_labelled_total"
SCORES = "serinus_score_bin_total"
OTHER = "other"
"""The collector's word for classes beyond those that it has series for; two such may or may not be the same."""


@dataclass(frozen=True)
class Counted:
    """What the two counters of one of the user's ratios gained."""

    ratio: Ratio
    numerators: Sequence[Series]
    denominators: Sequence[Series]

    def known(self, question: CountsQuestion) -> bool:
        """Whether there is a numerator at all, of either arm: a name that nobody counts under is no zero."""
        versions = {str(question.stable), str(question.canary)}
        return any(series.labels.get(self.ratio.version_label) in versions for series in self.numerators)

    def of(self, version: int | None) -> tuple[str, int, int]:
        """Its name, and what denominator and numerator gained of `version`."""
        whole, part = (
            sum(one.increase for one in series if one.labels.get(self.ratio.version_label) == str(version))
            for series in (self.denominators, self.numerators)
        )
        return self.ratio.name, round(whole), round(part)


def block(
    question: CountsQuestion,
    predictions: Sequence[Series],
    buckets: Sequence[Series],
    threshold: timedelta,
    labelled: Sequence[Series] = (),
    scored: Sequence[Series] = (),
    ratios: Sequence[Counted] = (),
) -> Block:
    """Both arms of `question`. A version without any series has had no answers: undecided, never good.

    labelled: of classes. Labels are counted in the interval in which they came, for both arms alike.
    ratios: those of the user's that count in this interval.
    scored: bins of scores; those without an upper edge `le` (missing ones, a predictor that tells none) do not count.
    """

    def arm(version: int | None) -> Arm:
        found = _labelled(version, labelled, _arm(version, predictions, buckets, threshold))
        both = tuple(ratio.of(version) for ratio in ratios if ratio.known(question))
        return replace(found, scores=_bins(version, scored), ratios=both)

    return Block(question.start, question.end, stable=arm(question.stable), canary=arm(question.canary))


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
    arm = replace(arm, times=_apart(cumulative))
    if within is None:
        return arm  # its buckets cannot tell fast from slow: that is no data, not "all fast"
    return replace(arm, timed=round(timed), slow=max(0, round(timed - cumulative[within])))


def _apart(cumulative: Mapping[float, float]) -> Bins:
    """Prometheus' cumulative buckets, each by itself. One read a moment after another may seem to hold less."""
    bounds = sorted(cumulative)
    lower = (0.0, *(cumulative[bound] for bound in bounds))
    return tuple((bound, max(0, round(cumulative[bound] - below))) for bound, below in zip(bounds, lower, strict=False))


def _bins(version: int | None, scored: Sequence[Series]) -> Bins:
    counted: dict[float, float] = {}
    for series in scored:
        edge = series.labels.get("le", "")
        if edge and series.labels.get("version") == str(version):
            counted[float(edge)] = counted.get(float(edge), 0.0) + series.increase
    return tuple((edge, round(increase)) for edge, increase in sorted(counted.items()))


def _labelled(version: int | None, labelled: Sequence[Series], arm: Arm) -> Arm:
    right = wrong = 0.0
    for series in labelled:
        truth, predicted = series.labels.get("truth", ""), series.labels.get("predicted", "")
        if series.labels.get("version") != str(version) or truth == predicted == OTHER:
            continue
        if truth == predicted:
            right += series.increase
        else:
            wrong += series.increase
    return replace(arm, labelled=round(right + wrong), wrong=round(wrong))
