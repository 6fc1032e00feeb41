"""The nouns of Serinus: frozen values without behaviour that touches the world.

Times are timezone-aware UTC datetimes, durations `timedelta`, probabilities in [0, 1], weights whole percents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Outcome = Literal["pass", "fail", "undecided", "error"]
FeatureKind = Literal["numeric", "categorical"]
Cause = Literal["initial", "schedule", "drift", "manual"]
RunPhase = Literal["pending", "running", "succeeded", "failed"]
Alias = Literal["challenger", "champion"]

MISSING = "missing"
UNSEEN = "unseen"


@dataclass(frozen=True)
class Verdict:
    """What a gate found: a value with its reasons. `error` means that it could not look, never that it passed."""

    gate: str
    outcome: Outcome
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """A half-open stretch of time, [start, end)."""

    start: datetime
    end: datetime


# --- data and models ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dataset:
    """A content-addressed snapshot of rows: the same content has the same version, wherever it came from."""

    version: str  # sha256 over the canonical content, hexadecimal
    source: str  # a sentence a person can read: where the rows came from
    window: Window  # of the time column; end is the newest row, included
    rows: int
    schema: Mapping[str, str]  # column -> Arrow type


@dataclass(frozen=True)
class Bins:
    """The distribution of one column in training data.

    A numeric column has inner `edges` e1 < ... < ek and k+1 bins, bin i being (e_i, e_{i+1}]; a categorical one has
    `categories` and a bin for each. `counts` follows `labels()`: the bins "0", "1", ..., then missing, then unseen.
    """

    name: str
    kind: FeatureKind
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    def labels(self) -> tuple[str, ...]:
        """The values of the metric label `bin`, in the order of `counts`."""
        regular = len(self.categories) if self.kind == "categorical" else len(self.edges) + 1
        return (*(str(i) for i in range(regular)), MISSING, UNSEEN)


@dataclass(frozen=True)
class Profile:
    """What the training rows looked like, feature by feature; the drift job compares with it."""

    rows: int
    features: tuple[Bins, ...]
    score: Bins  # of the model's scores on the holdout: probability of the positive/top class, or the prediction


@dataclass(frozen=True)
class Field:
    """One feature as callers must send it."""

    name: str
    kind: FeatureKind
    nullable: bool  # training saw nulls in it, so null is an answerable value


@dataclass(frozen=True)
class Contract:
    """What a model expects, answers and learned from: `contract.json` beside the model. Holds no time of day, so
    that the same data, code and parameters give the same bytes.
    """

    loop: str
    task: str
    fields: tuple[Field, ...]
    label: str
    classes: tuple[str, ...]  # of the label, as text, in the estimator's order; empty for regression
    positive: str | None  # binary classification: the class whose probability is the score
    profile: Profile
    dataset: Dataset
    examples: tuple[Mapping[str, float | str | None], ...]  # rows of training data for warm-up and smoke test
    expected: tuple[float, ...]  # the scores of `examples` when the model was made
    estimator: str  # built-in name, or the reference of the user's function
    params: Mapping[str, object]
    seed: int
    trust: tuple[str, ...]  # the user's own types that the model file may hold


@dataclass(frozen=True)
class SliceScore:
    """The metric on the holdout rows where `column` equals `value`."""

    column: str
    value: str
    rows: int
    candidate: float
    champion: float | None
    error: float | None = None  # standard error of the paired difference, where it was needed


@dataclass(frozen=True)
class Evaluation:
    """A candidate on the holdout, beside the champion on the same rows and a trivial baseline."""

    metric: str
    higher_is_better: bool
    rows: int
    candidate: float
    champion: float | None
    baseline: float
    difference: float | None = None  # candidate - champion, signed so that positive is better
    interval: tuple[float, float] | None = None  # of the difference, two-sided, at `confidence`
    confidence: float = 0.95
    method: str = ""  # how the interval was made, with its source
    metrics: Mapping[str, float] = field(default_factory=dict)  # every other figure worth showing
    slices: tuple[SliceScore, ...] = ()
    labels: tuple[str, ...] = ()  # classes, in the order of `confusion`
    confusion: tuple[tuple[int, ...], ...] = ()  # rows: truth, columns: predicted
    roc: tuple[tuple[float, float, float], ...] = ()  # (false positive rate, true positive rate, threshold)
    verdicts: tuple[Verdict, ...] = ()
    baseline_interval: tuple[float, float] | None = None  # of candidate - baseline, signed, at `confidence`
    digest: str = ""  # of the model directory that was judged
    dataset: str = ""  # version of the data whose holdout judged it


@dataclass(frozen=True)
class Version:
    """A registered model: immutable, named by its number in the registry."""

    loop: str
    number: int
    trigger: str  # key of the run that made it
    created: datetime
    dataset: str = ""  # version of the data it was trained on
    aliases: frozenset[str] = frozenset()
    metrics: Mapping[str, float] = field(default_factory=dict)
    digest: str = ""  # sha256 of the model directory's manifest


# --- traffic -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Variant:
    """A version that should serve, and the share of traffic it should get (whole percent)."""

    version: int
    weight: int


@dataclass(frozen=True)
class Routing:
    """Who should serve. Weights sum to 100; a variant at 0 is kept ready without traffic."""

    variants: tuple[Variant, ...] = ()

    def weight(self, version: int) -> int:
        """The share that `version` should get, 0 when it is not there."""
        return next((v.weight for v in self.variants if v.version == version), 0)


@dataclass(frozen=True)
class VariantState:
    """A version as the router sees it."""

    version: int
    ready: bool
    weight: int  # the share it really gets now
    message: str = ""  # why it is not ready, when it is not
    restarts: int = 0


@dataclass(frozen=True)
class RoutingState:
    """What serves now."""

    variants: tuple[VariantState, ...] = ()

    def of(self, version: int) -> VariantState | None:
        """The state of `version`, or None when the router does not know it."""
        return next((v for v in self.variants if v.version == version), None)


@dataclass(frozen=True)
class Arm:
    """Counts of answers of one version over an interval."""

    answers: int = 0  # outcomes ok and error: the trials of `errors`
    errors: int = 0
    rejected: int = 0  # outcome invalid: the client's fault, or a contract that became narrower
    timed: int = 0  # answers with a measured latency: the trials of `slow`
    slow: int = 0  # of these, over the threshold


@dataclass(frozen=True)
class Block:
    """Both arms over the same interval [start, end): one factor of the judge's evidence."""

    start: datetime
    end: datetime
    stable: Arm
    canary: Arm


@dataclass(frozen=True)
class Series:
    """What one counter's time series gained in an interval, resets handled, never extrapolated."""

    labels: Mapping[str, str]
    increase: float
    samples: int  # raw samples inside the interval; 0 means that nothing was scraped


# --- runs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunRequest:
    """A pipeline run to be made at most once: `key` is its identity everywhere."""

    key: str  # {loop}-{cause}-{end of the window}, only [A-Za-z0-9._-]
    loop: str
    cause: Cause
    requested: datetime
    spec: str  # the ModelLoop as JSON, as it was when the run was asked for


@dataclass(frozen=True)
class RunState:
    """A run as the runner sees it."""

    key: str
    loop: str
    cause: Cause
    phase: RunPhase
    created: datetime
    ended: datetime | None = None
    step: str = ""  # the step that runs now, or the one that failed
    reason: str = ""  # why it failed, in a sentence

    @property
    def active(self) -> bool:
        """Whether it may still change."""
        return self.phase in ("pending", "running")


# --- drift -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FeatureDrift:
    """One feature's window against the training profile."""

    name: str
    p_value: float  # of the chi-squared test on the bin counts
    psi: float  # population stability index
    drifted: bool


@dataclass(frozen=True)
class DriftFinding:
    """What one look of the drift job found; `fail` means that the window is in violation."""

    version: int  # the champion whose counters and profile were compared
    window: Window
    rows: int
    verdict: Verdict
    features: tuple[FeatureDrift, ...] = ()


# --- what people and jobs ask of a loop ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """Something asked of a loop from outside; `id` makes handling it idempotent."""

    id: str
    kind: Literal["run", "approve", "reject", "rollback", "drift"]
    at: datetime
    by: str  # a person's or a job's name
    version: int | None = None  # approve, reject
    reason: str = ""
    finding: DriftFinding | None = None  # drift
    run: str = ""  # drift: key of the run that the finding led to, if any


@dataclass(frozen=True)
class Event:
    """Something that happened to a loop; `kind` is CamelCase and comes from a fixed list (decide/events.py)."""

    at: datetime
    kind: str
    message: str
    version: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


# --- the loop's memory ---------------------------------------------------------------------------------------------


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


@dataclass(frozen=True)
class Watch:
    """After a promotion: the new champion against what the old one did during the rollout."""

    version: int
    until: datetime
    looked_until: datetime
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    restarts: int = 0  # of its server when it was promoted


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
    last_scheduled: datetime | None = None
    handled: tuple[str, ...] = ()  # ids of requests already folded in, oldest first
    notices: Mapping[str, str] = field(default_factory=dict)  # what is wrong now, by subject, said once
    owed: tuple[RolloutRecord, ...] = ()  # records that the registry could not be given yet


@dataclass(frozen=True)
class World:
    """What could be seen at one look. None means that it could not be seen, which is not the same as empty."""

    versions: tuple[Version, ...] | None
    runs: tuple[RunState, ...] | None
    routing: RoutingState | None
    block: Block | None = None  # the interval that `loop.question` asked for
    requests: tuple[Request, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)  # what could not be seen -> why
    since: datetime | None = None  # when this driver began to look; before that nobody may have looked


@dataclass(frozen=True)
class CountsQuestion:
    """The counts that the judge needs next."""

    stable: int | None
    canary: int
    start: datetime
    end: datetime


@dataclass(frozen=True)
class AliasMove:
    """`alias` should point at `version`; None takes it away."""

    alias: Alias
    version: int | None


@dataclass(frozen=True)
class Plan:
    """What one look leads to. The driver carries it out in this order and writes `status` last."""

    status: Status
    routing: Routing | None = None  # None: leave it as it is
    run: RunRequest | None = None
    aliases: tuple[AliasMove, ...] = ()
    records: tuple[RolloutRecord, ...] = ()
    events: tuple[Event, ...] = ()
