from __future__ import annotations

from prometheus_client import CollectorRegistry

from serinus.facts import Contract
from services.predictor.inputs import inputs, read
from services.predictor.metrics import Counters, count_rows, counters
from tests.unit.test_predictor_inputs import GOOD, contract, v1

WHO = {"loop": "parcels", "version": "7"}


def made(threshold: float = 0.3) -> tuple[Contract, Counters, CollectorRegistry]:
    registry = CollectorRegistry()
    return contract(), counters(contract(), "7", threshold, registry), registry


def values(registry: CollectorRegistry, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The samples of `name` by the values of `labels`; every one must be of our loop and version."""
    found = {}
    for metric in registry.collect():
        for sample in metric.samples:
            if sample.name == name:
                assert {k: sample.labels[k] for k in WHO} == WHO
                assert set(sample.labels) == {*WHO, *labels}
                found[tuple(sample.labels[k] for k in labels)] = sample.value
    return found


def test_every_child_is_there_at_zero_before_the_first_request() -> None:
    contract, _, registry = made()
    features = {(b.name, bin): 0.0 for b in contract.profile.features for bin in b.labels()}
    assert values(registry, "serinus_feature_bin_total", "feature", "bin") == features
    bins = {("0", "0.5"): 0.0, ("1", "+Inf"): 0.0, ("missing", ""): 0.0, ("unseen", ""): 0.0}
    assert values(registry, "serinus_score_bin_total", "bin", "le") == bins
    outcomes = {("ok",): 0.0, ("invalid",): 0.0, ("error",): 0.0}
    assert values(registry, "serinus_predictions_total", "outcome") == outcomes
    assert set(values(registry, "serinus_prediction_seconds_bucket", "le").values()) == {0.0}


def test_the_latency_threshold_is_a_bucket_of_its_own() -> None:
    _, counted, registry = made(threshold=0.3)
    for seconds in (0.26, 0.3, 0.31):
        counted.seconds.observe(seconds)
    buckets = values(registry, "serinus_prediction_seconds_bucket", "le")
    assert (buckets["0.25",], buckets["0.3",], buckets["0.5",], buckets["+Inf",]) == (0, 2, 3, 3)


def test_a_threshold_that_is_a_bucket_already_is_not_there_twice() -> None:
    _, _, registry = made(threshold=0.25)
    les = [le for (le,) in values(registry, "serinus_prediction_seconds_bucket", "le")]
    assert les == sorted(set(les), key=float)


def test_bins_count_rows_and_scores_fall_where_training_put_them() -> None:
    contract, counted, registry = made()
    checks = inputs(contract, accept_unseen=True, max_rows=10)
    one = read(checks, "v1", v1(GOOD))
    batch = read(checks, "v1", v1(GOOD, {**GOOD, "weight": None, "shop": "east"}, {**GOOD, "weight": 1.5}))
    count_rows(counted, one, [0.5])
    count_rows(counted, batch, [0.4, 0.6, 0.7])
    expected = {(b.name, bin): 0.0 for b in contract.profile.features for bin in b.labels()}
    expected |= {("weight", "2"): 2, ("weight", "missing"): 1, ("weight", "1"): 1, ("price", "1"): 4}
    expected |= {("shop", "1"): 3, ("shop", "unseen"): 1, ("floor", "2"): 4, ("gift", "1"): 4}
    assert values(registry, "serinus_feature_bin_total", "feature", "bin") == expected
    scores = {("0", "0.5"): 2.0, ("1", "+Inf"): 2.0, ("missing", ""): 0.0, ("unseen", ""): 0.0}
    assert values(registry, "serinus_score_bin_total", "bin", "le") == scores
