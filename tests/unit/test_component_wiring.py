"""How a step says that it began and why it failed, and what it shows."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kfp import dsl

from components import shows, wiring
from serinus.adapters import kfp_local_folder
from serinus.errors import DataError, Fatal, GateFailed, Retryable, Unavailable
from serinus.facts import Alias, Evaluation, Version

LOOP = '{"metadata": {"name": "flights"}}'


@dataclass
class Store:
    """As much of a model store as a failing step sees: it notes what it was told."""

    refuse_with: Callable[[], None] = lambda: None
    refused: list[tuple[str, str, str, str]] = field(default_factory=list)

    def find(self, _loop: str, _alias: Alias) -> Version | None:
        return None

    def refuse(self, loop: str, trigger: str, step: str, reason: str) -> None:
        self.refuse_with()
        self.refused.append((loop, trigger, step, reason))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(kfp_local_folder.VARIABLE, str(tmp_path))
    return tmp_path


def install(monkeypatch: pytest.MonkeyPatch, store: Store) -> Store:
    monkeypatch.setattr(wiring, "open_store", lambda _uri: store)
    return store


def fail(error: Exception) -> None:
    with wiring.step("check", LOOP, "flights-1", "http://mlflow"):
        raise error


def test_a_failing_step_keeps_its_reason_in_the_run_and_in_the_registry(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = install(monkeypatch, Store())
    with pytest.raises(GateFailed):
        fail(GateFailed("check", ["temp: 30 % nulls, allowed are 20 %", "rows: 7, needed are 1000"]))
    reason = "temp: 30 % nulls, allowed are 20 %; rows: 7, needed are 1000"
    assert kfp_local_folder.get(kfp_local_folder.Reason, run / "reason.json") == kfp_local_folder.Reason(
        "check", reason
    )
    assert store.refused == [("flights", "flights-1", "check", reason)]


def test_a_step_that_works_says_that_it_runs_and_nothing_else(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = install(monkeypatch, Store())
    with wiring.step("check", LOOP, "flights-1", "http://mlflow") as opened:
        assert kfp_local_folder.step(run) == "check"
        assert id(opened()) == id(store)
    assert not (run / "reason.json").exists()
    assert store.refused == []


def test_outside_a_local_run_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kfp_local_folder.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    store = install(monkeypatch, Store())
    with pytest.raises(DataError):
        fail(DataError("no rows in the window"))
    assert store.refused == [("flights", "flights-1", "check", "no rows in the window")]
    assert list(tmp_path.iterdir()) == []


def test_a_registry_that_is_away_does_not_hide_the_failure(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise Unavailable("connection refused")

    install(monkeypatch, Store(refuse_with=away))
    with pytest.raises(DataError, match="no rows"):
        fail(DataError("no rows in the window"))
    assert (run / "reason.json").exists()


def test_a_registry_that_hangs_does_not_hold_the_failure_up(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for_ever = threading.Event()
    install(monkeypatch, Store(refuse_with=lambda: (for_ever.wait(), None)[1]))
    monkeypatch.setattr(wiring, "LAST_WORDS", 0.05)
    try:
        with pytest.raises(DataError, match="no rows"):
            fail(DataError("no rows in the window"))
    finally:
        for_ever.set()


def test_a_loop_that_is_no_loop_still_fails_with_its_own_reason(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = install(monkeypatch, Store())
    with pytest.raises(ValueError, match="bad"), wiring.step("ingest", "not JSON", "flights-1", "http://mlflow"):
        raise ValueError("bad")
    assert store.refused == []


def test_errors_that_were_not_written_for_a_person_are_named() -> None:
    assert wiring.explain(KeyError("temp")) == "KeyError: 'temp'"
    assert wiring.explain(DataError("no rows")) == "no rows"
    assert wiring.explain(GateFailed("check", [])) == "check failed: "


def test_a_gate_that_did_not_speak_has_not_passed() -> None:
    wiring.require("check", passed="abc", subject="abc")
    for passed, subject in (("", "abc"), ("abd", "abc"), ("", "")):
        with pytest.raises(Fatal, match="check: expected it to have let"):
            wiring.require("check", passed=passed, subject=subject)


def test_patience_lasts_through_an_outage_and_ends_with_its_error() -> None:
    answers = iter([Unavailable("away"), Unavailable("away"), None])

    def ask() -> str:
        answer = next(answers)
        if answer is not None:
            raise answer
        return "here"

    assert wiring.patiently(ask) == "here"
    with pytest.raises(Unavailable, match="still away"):
        wiring.patiently(lambda: _raise(Unavailable("still away")), patience=0.3)


def test_patience_is_not_for_what_time_cannot_heal() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        raise Fatal("the model was changed")

    with pytest.raises(Fatal):
        wiring.patiently(ask)
    assert len(asked) == 1


def test_no_champion_yet_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Store())
    with wiring.champion(LOOP, "http://mlflow") as directory:
        assert directory is None


def evaluation(**given: object) -> Evaluation:
    return Evaluation(**{**_PLAIN, **given})  # type: ignore[arg-type]


_PLAIN = {
    "metric": "roc_auc",
    "higher_is_better": True,
    "rows": 500,
    "candidate": 0.8,
    "champion": None,
    "baseline": 0.5,
}


def test_figures_are_shown_when_they_are_numbers() -> None:
    artifact = dsl.Metrics(uri="figures")
    shows.figures(evaluation(metrics={"brier": 0.1, "log_loss": math.nan, "f1": math.inf}), artifact)
    assert artifact.metadata == {"brier": 0.1, "holdout_rows": 500.0}


def test_a_curve_is_shown_whole_up_to_200_points_and_ends_where_it_ends() -> None:
    roc = tuple((i / 999, math.sqrt(i / 999), math.inf if i == 0 else 1 - i / 999) for i in range(1000))
    artifact = dsl.ClassificationMetrics(uri="curves")
    shows.curves(evaluation(roc=roc, labels=("no", "yes"), confusion=((3, 1), (2, 4))), artifact)
    points = artifact.metadata["confidenceMetrics"]
    assert len(points) == 200
    assert points[0] == {"confidenceThreshold": 1.0, "recall": 0.0, "falsePositiveRate": 0.0}
    assert points[-1] == {"confidenceThreshold": 0.0, "recall": 1.0, "falsePositiveRate": 1.0}
    assert artifact.metadata["confusionMatrix"] == {
        "annotationSpecs": [{"displayName": "no"}, {"displayName": "yes"}],
        "rows": [{"row": [3, 1]}, {"row": [2, 4]}],
    }
    short = dsl.ClassificationMetrics(uri="curves")
    shows.curves(evaluation(roc=roc[:3]), short)
    assert len(short.metadata["confidenceMetrics"]) == 3


def test_a_regression_has_no_curves() -> None:
    artifact = dsl.ClassificationMetrics(uri="curves")
    shows.curves(evaluation(metric="rmse"), artifact)
    assert artifact.metadata == {}


def test_the_page_is_shown_also_when_the_step_fails(tmp_path: Path) -> None:
    artifact = dsl.HTML(uri=str(tmp_path / "card"))

    def judge() -> None:
        with shows.page(tmp_path / "card.html", artifact):
            (tmp_path / "card.html").write_text("<p>no</p>")
            raise GateFailed("validate", ["worse"])

    with pytest.raises(GateFailed):
        judge()
    assert (tmp_path / "card").read_text() == "<p>no</p>"


def _raise(error: Retryable) -> None:
    raise error
