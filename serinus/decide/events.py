"""Every kind of event there is; the list is the label's domain of `serinus_events_total`."""

from __future__ import annotations

from typing import Literal, get_args

EventKind = Literal[
    "RunRequested",
    "RunStarted",
    "RunSucceeded",
    "RunFailed",
    "VersionFound",
    "VersionSuperseded",
    "AwaitingApproval",
    "Approved",
    "Rejected",
    "RolloutStarted",
    "StepPassed",
    "Promoted",
    "RolledBack",
    "BroughtBack",
    "ShareChanged",
    "WatchEnded",
    "DriftFound",
    "DriftGone",
    "QualityFell",
    "QualityBack",
    "DataGrown",
    "RequestIgnored",
    "RecordLost",
    "SpecChanged",
    "CannotSee",
    "SeesAgain",
]
KINDS: tuple[str, ...] = get_args(EventKind)
