"""What the demo saw: everything that its table and its page are made of, and whether the loop kept its promises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from serinus.facts import Event


@dataclass(frozen=True)
class Tick:
    """One second of the demo."""

    seconds: float  # since the first request
    flying: str  # the replayed day, ISO
    weights: Mapping[int, int]  # version -> percent of traffic
    requests: int  # answered in this second
    psi: Mapping[str, float]  # feature -> PSI of the latest window
    drifted: tuple[str, ...]  # features in violation in the latest window
    canary: int | None  # the version on its way
    harm: Mapping[str, float]  # guardrail -> log10 of the evidence that the canary is worse, 0 while there is none
    verdicts: Mapping[str, str]  # guardrail -> outcome
    failed: int = 0  # requests of this second without a right answer, the broken canary's own errors apart
    injected: int = 0  # error answers of the canary that the demo broke


@dataclass(frozen=True)
class Month:
    """The replayed flights of one month."""

    month: str  # 2013-03
    rows: int
    loop: float  # ROC AUC of the answers that the loop gave
    frozen: float  # ROC AUC on the same flights of a model that learned all of January and was never retrained
    versions: Mapping[int, int]  # version -> rows that it answered
    worth: float = math.nan  # of the loop's answers, in `Record.unit`
    worth_frozen: float = math.nan  # of that model's


@dataclass(frozen=True)
class Judged:
    """One version in one stretch of the demo, by the labels that the collector had by its end."""

    start: float  # seconds since the first request
    end: float
    version: int
    auc: float
    low: float  # interval at 95 %
    high: float
    rows: int
    labelled: int
    worth: float  # of the labelled answers, in all


@dataclass(frozen=True)
class Candidate:
    """A version that came after the first one, and what became of it."""

    version: int
    cause: str  # drift, manual
    fault: str  # what the demo broke in it: "", "errors", "slow"
    outcome: str  # promoted, rolled-back, superseded, under way
    reason: str
    started: float  # seconds since the first request; when its run was asked for
    first_traffic: float | None  # seconds since the first request
    ended: float | None
    answers: int  # requests that it answered
    bad: int  # of these, its own errors (or slow answers), which are the evidence
    harm: Mapping[str, float] = field(default_factory=dict)  # guardrail -> log10 of the evidence when its rollout ended


@dataclass(frozen=True)
class Record:
    """One demo from the first request to the last."""

    ticks: tuple[Tick, ...]
    months: tuple[Month, ...]
    candidates: tuple[Candidate, ...]
    events: tuple[tuple[float, Event], ...]  # seconds since the first request
    requests: int
    rows: int
    failed: int  # requests without a right answer, the broken canary's own errors apart
    injected: int  # error answers of the canary that the demo broke
    p50: float  # seconds an answer took
    p99: float
    limits: Mapping[str, float]  # guardrail -> log10 of the evidence at which it rolls a canary back
    addresses: Mapping[str, str] = field(default_factory=dict)
    judged: tuple[Judged, ...] = ()
    unit: str = ""  # what a worth is counted in
    missed: tuple[str, ...] = ()  # the promises that were not kept, in sentences; empty means success
