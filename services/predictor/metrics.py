"""The predictor's counters, by the names that the judge and the drift job query; every child is at 0 from the start.

Requests are counted once, whatever the size of their batch; bins count rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from serinus.facts import Bins, Contract
from services.predictor.inputs import Rows

Outcome = Literal["ok", "invalid", "error"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "invalid", "error")

# Seconds. The latency threshold of the rollout is added, so that "slower than it" is counted exactly.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Counters:
    """The children of one version's metrics, found once so that a request does not look them up."""

    outcomes: Mapping[Outcome, Counter]
    seconds: Histogram
    features: Mapping[str, Mapping[str, Counter]]  # feature -> bin -> counter
    places: tuple[tuple[Counter, ...], ...]  # the same, by position of field and bin
    score: tuple[Counter, ...]
    score_edges: tuple[float, ...]


def counters(contract: Contract, version: str, threshold: float, registry: CollectorRegistry) -> Counters:
    """Register the metrics of `version` with `registry`. threshold: what counts as slow, in seconds."""
    who = {"loop": contract.loop, "version": version}
    names = tuple(who)
    total = Counter(
        "serinus_predictions_total",
        "Requests answered: ok, invalid (the client's fault), error (ours)",
        (*names, "outcome"),
        registry=registry,
    )
    seconds = Histogram(
        "serinus_prediction_seconds",
        "From the whole request here to its answer handed on; outcomes ok and error",
        names,
        registry=registry,
        buckets=sorted({*BUCKETS, threshold}),
    )
    feature = Counter(
        "serinus_feature_bin_total", "Rows by the bin of each feature", (*names, "feature", "bin"), registry=registry
    )
    score = Counter(
        "serinus_score_bin_total",
        "Rows by the bin of the score; le: its upper edge, where it has one",
        (*names, "bin", "le"),
        registry=registry,
    )
    profile = {b.name: b for b in contract.profile.features}
    features = {
        field.name: {bin: feature.labels(**who, feature=field.name, bin=bin) for bin in profile[field.name].labels()}
        for field in contract.fields
    }
    return Counters(
        outcomes={outcome: total.labels(**who, outcome=outcome) for outcome in OUTCOMES},
        seconds=seconds.labels(**who),
        features=features,
        places=tuple(tuple(bins.values()) for bins in features.values()),
        score=tuple(score.labels(**who, bin=bin, le=edge) for bin, edge in _score_bins(contract.profile.score)),
        score_edges=contract.profile.score.edges,
    )


def _score_bins(bins: Bins) -> Iterator[tuple[str, str]]:
    """The name of each bin with its upper edge: another version's bins are others, and edges tell where these lie."""
    edges = (*(repr(edge) for edge in bins.edges), "+Inf")
    return ((label, edge) for label, edge in zip_longest(bins.labels(), edges, fillvalue=""))


def count_rows(counters: Counters, rows: Rows, scores: Sequence[float]) -> None:
    """Count the bins of rows that were answered."""
    for children, bins in zip(counters.places, rows.bins, strict=True):
        if len(bins) == 1:
            children[bins[0]].inc()
        else:
            for position, number in Tally(bins).items():
                children[position].inc(number)
    edges = counters.score_edges
    for position, number in Tally(bisect_left(edges, score) for score in scores).items():
        counters.score[position].inc(number)
