"""What of an arm's answers a guardrail counts: its trials, and which of them are bad."""

from __future__ import annotations

from serinus.facts import Arm
from serinus.spec import Ratio
from serinus.stats.sequential import Counts


def errors(arm: Arm) -> Counts:
    """Answers that failed."""
    return Counts(arm.answers, arm.errors)


def rejections(arm: Arm) -> Counts:
    """Requests that were refused."""
    return Counts(arm.answers + arm.rejected, arm.rejected)


def latency(arm: Arm) -> Counts:
    """Answers over the threshold."""
    return Counts(arm.timed, arm.slow)


def scores(arm: Arm) -> Counts:
    """How many scores there are; which are bad is a matter of cuts."""
    return Counts(sum(count for _, count in arm.scores), 0)


def quality(arm: Arm) -> Counts:
    """Answers that their label showed to be wrong."""
    return Counts(arm.labelled, arm.wrong)


def part(ratio: Ratio, arm: Arm) -> Counts:
    """Of a user's ratio; bad is what is missing of a part of which more is better."""
    for name, whole, part in arm.ratios:
        if name == ratio.name:
            return Counts(whole, part if ratio.better == "lower" else max(0, whole - part))
    return Counts(0, 0)
