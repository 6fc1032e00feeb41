"""What a loop remembers from look to look, what is asked of it, and what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from serinus.facts.drift import DriftFinding
from serinus.facts.quality import QualityFinding
from serinus.facts.runs import Cause, RunPhase, Why
from serinus.facts.verdicts import Verdict


@dataclass(frozen=True)
class Request:
    """Something asked of a loop from outside; `id` makes handling it idempotent."""

    id: str
    kind: Literal["run", "approve", "reject", "rollback", "drift", "quality", "data"]
    at: datetime
    by: str  # a person's or a job's name
    version: int | None = None  # approve, reject; rollback: the one to be gone
    reason: str = ""
    finding: DriftFinding | None = None  # drift
    run: str = ""  # drift: key of the run that the finding led to, if any
    quality: QualityFinding | None = None  # quality
    rows: int | None = None  # data: labelled rows newer than the champion's dataset
    learned: int | None = None  # data: rows of that dataset
    pulled: datetime | None = None  # data: up to when labels were pulled from where they are kept


@dataclass(frozen=True)
class DataCount:
    """How much is known now that a version did not learn from."""

    version: int
    at: datetime  # when it was counted
    rows: int  # labelled, newer than its dataset
    learned: int | None  # rows of its dataset, where that is known
    asked: int = 0  # what `rows` was when a run was last asked for because of it
    said: bool = False  # whether an event told that it is enough for the next one


@dataclass(frozen=True)
class Event:
    """Something that happened to a loop; `kind` is CamelCase and comes from a fixed list (decide/events.py)."""

    at: datetime
    kind: str
    message: str
    version: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    by: str = ""  # the person or job that asked for it; "": the loop itself


@dataclass(frozen=True)
class Evidence:
    """What the judge knows about one guardrail since the rollout began; small, and all it needs to go on."""

    stable_trials: int = 0
    stable_bad: int = 0
    canary_trials: int = 0
    canary_bad: int = 0
    log_harm: tuple[float, ...] = ()  # wealth's log by alternative: "worse by more than the margin"; last: not bet yet
    log_safe: tuple[float, ...] = ()  # wealth's log by alternative: "not worse by the margin"; last: not bet yet
    peak_harm: float = 0.0  # the largest log of the mixture so far; a crossing counts for ever
    terms: tuple[float, ...] = ()  # the thresholds and margins it was gathered under; under others it says nothing
    blocks: int = 0  # that are in it
    clumps: tuple[float, ...] = ()  # what stats/dispersion.py remembers
    sums: tuple[float, ...] = ()  # what stats/difference.py remembers
    recent: tuple[tuple[float, float], ...] = ()  # (seconds since the epoch, log of the mixture for harm), oldest first
    shape: tuple[tuple[float, int], ...] = ()  # stable's outcomes by upper bound, while cuts are still to be chosen
    cuts: tuple[float, ...] | None = None  # bounds at which distributions are compared; None: not chosen, or none asked
    parts: tuple[Evidence, ...] = ()  # by cut; what stands beside them is then the whole's


@dataclass(frozen=True)
class Rollout:
    """A canary on its way: where it stands and what was seen of it."""

    version: int
    stable: int | None  # None: the loop's first version, nobody to compare with
    started: datetime
    step: int  # index into rollout.steps; -1 while the canary gets ready
    step_started: datetime
    looked_until: datetime
    step_answers: int = 0  # the canary's exposure in this step
    evidence: Mapping[str, Evidence] = field(default_factory=dict)  # guardrail -> evidence
    verdicts: tuple[Verdict, ...] = ()  # of the last look
    restarts: int = 0  # of the canary's server when the rollout began
    away: datetime | None = None  # since when its server is not ready, though it was
    share: int = 0  # percent, where shares follow the evidence; 0: the first
    share_since: datetime | None = None  # when that was changed last; None: never within this step
    served_since: datetime | None = None  # since when its server has had traffic without a break; None: not known


@dataclass(frozen=True)
class Watch:
    """After a promotion: the new champion against the old one, as that was during the rollout and as it is now."""

    version: int
    until: datetime
    looked_until: datetime
    evidence: Mapping[str, Evidence] = field(default_factory=dict)  # against what the old one did in the rollout
    beside: Mapping[str, Evidence] = field(default_factory=dict)  # against what it does meanwhile with its share
    restarts: int = 0  # of its server when it was promoted
    served_since: datetime | None = None  # as in Rollout
    held: int = 0  # percent that stays with the old champion
    share_since: datetime | None = None  # when that was changed last; None: never since the promotion


@dataclass(frozen=True)
class RunRecord:
    """A run as the loop remembers it."""

    key: str
    cause: Cause
    requested: datetime
    ended: datetime | None = None
    phase: RunPhase = "pending"
    reason: str = ""
    version: int | None = None  # what it registered
    recipe: str = ""  # digest of the data and training parts of the spec it ran with
    why: Why | None = None


@dataclass(frozen=True)
class RolloutRecord:
    """How a rollout ended, kept with the version as `rollout.json` and as tags."""

    version: int
    stable: int | None
    outcome: Literal["promoted", "rolled-back", "superseded", "rejected"]
    reason: str
    started: datetime
    ended: datetime
    verdicts: tuple[Verdict, ...] = ()
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    approved_by: str = ""


@dataclass(frozen=True)
class SpecKept:
    """The spec that a loop went by at its latest look."""

    text: str  # ModelLoop.for_run()
    generation: int | None = None  # that the API server gave it; None on a laptop


@dataclass(frozen=True)
class Status:
    """All that a loop remembers; the ledger keeps it, `loop.next` alone writes it."""

    loop: str
    champion: int | None = None
    previous: int | None = None  # the last champion, kept ready
    rollout: Rollout | None = None
    watch: Watch | None = None
    waiting: int | None = None  # a challenger that waits for approval or for the rollout before it
    approved: int | None = None  # the version that a person let in
    approved_by: str = ""
    decided: int = 0  # every version up to this number was let in, thrown back, refused or superseded
    run: RunRecord | None = None  # in flight, at most one
    last_run: RunRecord | None = None
    drift: tuple[DriftFinding, ...] = ()  # the latest windows, oldest first
    quality: QualityFinding | None = None  # the latest look's
    quality_fell: int | None = None  # the version that was last said to be worse than allowed, until one is not
    data: DataCount | None = None  # the latest count
    pulled: datetime | None = None  # up to when labels were pulled
    last_scheduled: datetime | None = None
    handled: tuple[str, ...] = ()  # ids of requests already folded in, oldest first
    notices: Mapping[str, str] = field(default_factory=dict)  # what is wrong now, by subject, said once
    owed: tuple[RolloutRecord, ...] = ()  # records that the registry could not be given yet
    spec: SpecKept | None = None  # None before the first look
