"""The collector's series are bounded, whatever callers send; what is over is counted, under `other`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client import generate_latest

from serinus.facts import Prediction, Record
from services.collector import metrics
from services.collector.metrics import OTHER, CollectorMetrics, Joined, joins

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def record(version: int, answer: str, truth: str | float | None, score: float = 0.5) -> Record:
    return Record(Prediction("p", version, NOW, {}, score, answer), truth, NOW)


def value(told: CollectorMetrics, name: str, **labels: str) -> float | None:
    return told.registry.get_sample_value(name, labels)


def series(told: CollectorMetrics, name: str) -> int:
    return sum(line.startswith(name + "{") for line in generate_latest(told.registry).decode().splitlines())


def test_records_are_counted_by_version_truth_and_answer() -> None:
    found = joins([record(1, "no", "no"), record(1, "no", "no"), record(1, "no", "yes"), record(2, "no", "yes")])
    assert set(found) == {Joined(1, "no", "no", 2), Joined(1, "yes", "no", 1), Joined(2, "yes", "no", 1)}


def test_of_a_regression_errors_are_summed_and_a_truth_that_is_no_number_says_nothing() -> None:
    found = joins([record(1, "", 3.0, 1.0), record(1, "", 0.0, 1.0), record(1, "", None), record(1, "", "late")])
    assert found == (Joined(1, "", "", 2, 3.0, 5.0),)


def test_every_outcome_of_a_loop_is_there_from_its_first_sight() -> None:
    told = CollectorMetrics()
    told.labels("team", "a", {"joined": 2})
    place = {"loop_namespace": "team", "loop": "a"}
    assert value(told, "serinus_labels_total", **place, outcome="joined") == 2
    assert value(told, "serinus_labels_total", **place, outcome="older") == 0
    assert value(told, "serinus_collected_total", **place, outcome="doubled") == 0


def test_loops_over_the_most_are_counted_together() -> None:
    told = CollectorMetrics()
    for number in range(metrics.LOOPS + 50):
        told.predictions("team", f"loop{number}", {"new": 1})
        told.joined("team", f"loop{number}", [Joined(number, "yes", "no", 1)])
    together = {"loop_namespace": OTHER, "loop": OTHER}
    over = value(told, "serinus_collected_total", **together, outcome="new")
    assert over == 50 - 1, "one place more than said, since the others have one themselves"
    assert value(told, "serinus_labelled_total", **together, version=OTHER, truth="yes", predicted="no") == over
    told.predictions("team", "loop0", {"new": 1})
    assert value(told, "serinus_collected_total", loop_namespace="team", loop="loop0", outcome="new") == 2


def test_of_many_versions_those_labelled_last_are_told() -> None:
    told = CollectorMetrics()
    for number in range(metrics.VERSIONS + 5):
        told.joined("team", "a", [Joined(number, "yes", "no", 1), Joined(0, "yes", "no", 1)])
        told.joined("team", "r", [Joined(number, "", "", 1, 2.0, 4.0)])
    assert series(told, "serinus_labelled_total") == 2 * metrics.VERSIONS
    assert series(told, "serinus_labelled_absolute_error_total") == metrics.VERSIONS
    place = {"loop_namespace": "team", "loop": "a", "truth": "yes", "predicted": "no"}
    assert value(told, "serinus_labelled_total", **place, version="0") == metrics.VERSIONS + 6
    assert value(told, "serinus_labelled_total", **place, version="1") is None
    assert value(told, "serinus_labelled_total", **place, version=str(metrics.VERSIONS + 4)) == 1


def test_classes_over_the_most_are_one_class() -> None:
    told = CollectorMetrics()
    told.joined("team", "a", [Joined(1, f"class{number}", "class0", 1) for number in range(metrics.CLASSES + 7)])
    assert series(told, "serinus_labelled_total") == metrics.CLASSES + 1
    place = {"loop_namespace": "team", "loop": "a", "version": "1", "predicted": "class0"}
    assert value(told, "serinus_labelled_total", **place, truth=OTHER) == 7


def test_cells_over_the_most_are_one_cell_of_their_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CELLS", 300)
    told = CollectorMetrics()
    names = [f"class{number}" for number in range(10)]
    for loop in range(12):
        joined = [Joined(1, truth, answer, 1) for truth in names for answer in names]
        told.joined("team", f"loop{loop}", joined)
    assert series(told, "serinus_labelled_total") == 300 + 9
    place = {"loop_namespace": "team", "loop": "loop11", "version": "1"}
    assert value(told, "serinus_labelled_total", **place, truth=OTHER, predicted=OTHER) == 100
    total = sum(
        sample.value
        for metric in told.registry.collect()
        for sample in metric.samples
        if sample.name == "serinus_labelled_total"
    )
    assert total == 12 * 100, "none is lost"
