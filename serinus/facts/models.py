"""Data and models: what was learned from, what was learned, how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from serinus.facts.verdicts import Verdict, Window

FeatureKind = Literal["numeric", "categorical"]
Alias = Literal["challenger", "champion"]
MISSING = "missing"
UNSEEN = "unseen"


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
    `means` has the mean of each of a numeric column's k+1 bins and `sd` the standard deviation of all its values; both
    are empty for categories, without a finite spread, and in profiles made before they were kept.
    """

    name: str
    kind: FeatureKind
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    means: tuple[float, ...] = ()
    sd: float | None = None

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
    interval: tuple[float, float] | None = None  # of `candidate`, at 95 %


@dataclass(frozen=True)
class FairnessGap:
    """How differently groups are treated: the largest difference, between two groups, of the rate that `metric`
    compares. Small groups may be among `groups` without being in the gap; where nothing is known of it, it is 0,
    between 0 and 1.
    """

    column: str
    metric: str  # equalOpportunity, demographicParity, equalizedOdds
    gap: float
    low: float  # interval of the gap at the evaluation's confidence
    high: float
    groups: Mapping[str, float]  # group -> its rate (equalizedOdds: of the rate that differs more)
    rows: Mapping[str, int]  # group -> rows that the rate is made of


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
    fairness: tuple[FairnessGap, ...] = ()


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
