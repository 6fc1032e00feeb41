"""A loop of a user's own: source, training function and estimator type in their folder; then drift, and a bad model."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serinus import artifact, models
from serinus.models import scoring
from serinus.spec import ModelLoop
from tests import data_sets
from tests.servers import loops
from tests.servers.callers import calls
from tests.servers.loops import Loop

pytestmark = [pytest.mark.xdist_group("supervisor-story"), pytest.mark.timeout(400)]
FIGURES = logging.getLogger("figures")  # shown by --log-cli-level=INFO

OWN = '''
"""A user's own source, training function and estimator types, from a folder of their own."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

TOP = 900  # no field of the training data lies higher


def rows(window):
    return pd.read_csv(Path(__file__).with_name("crops.csv"))


class Crops(ClassifierMixin, BaseEstimator):
    """A logistic regression on columns of its own making."""

    def __init__(self, strength=1.0):
        self.strength = strength

    def fit(self, X, y):
        self.model_ = LogisticRegression(C=self.strength, max_iter=1000).fit(self._columns(X), y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(self._columns(X))

    def predict(self, X):
        return self.model_.predict(self._columns(X))

    def _columns(self, X):
        soils = [(X["soil"] == soil).astype(float) for soil in ("clay", "loam", "sand")]
        return np.column_stack([X["rain_mm"] / 100, X["height_m"] / 100, *soils])


class Afraid(Crops):
    """Does not know what to do above the height that it has seen."""

    def predict_proba(self, X):
        if (X["height_m"] > TOP).any():
            raise KeyError("no such height")
        return super().predict_proba(X)


def fit(X, y, params):
    return Crops(**params).fit(X, y)


def fit_afraid(X, y, params):
    return Afraid(**params).fit(X, y)
'''

ROLLOUT: dict[str, Any] = {
    "steps": [20],
    "minRequests": 50,
    "stepTimeout": "90s",
    "watch": "1s",
    "guardrails": {"errors": {"margin": 0.01}, "rejections": None, "latency": None, "slowdown": None, "scores": None},
}


def fields(**spec: Any) -> ModelLoop:
    """Three classes by name; everything that a user can bring is the user's own."""
    own: dict[str, Any] = {
        "source": {"python": "crops_of_a_user:rows"},
        "training": {
            "python": "crops_of_a_user:fit",
            "params": {"strength": 0.5},
            "trust": ["crops_of_a_user.Crops", "crops_of_a_user.Afraid"],
        },
        "rollout": ROLLOUT,
        "drift": None,
    }
    loop, _ = data_sets.multiclass(**{**own, **spec})
    return loop


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    _, frame = data_sets.multiclass(2000)
    with loops.bare(tmp_path_factory.mktemp("story") / "loop", fields(), frame) as running:
        frame.to_csv(running.code / "crops.csv", index=False)
        (running.code / "crops_of_a_user.py").write_text(OWN)
        running.up()
        running.serves(1, 180)
        yield running


def shifted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A wet year on sand."""
    return [{**row, "rain_mm": row["rain_mm"] + 300, "soil": "sand"} for row in rows]


def drifted(loop: Loop) -> set[str]:
    """What had drifted at the latest look."""
    return {feature.name for feature in loop.status.drift[-1].features if feature.drifted}


def ended(loop: Loop) -> datetime:
    """When the last run ended."""
    last = loop.status.last_run
    assert last is not None
    assert last.ended is not None
    return last.ended


def test_a_users_own_source_function_and_type_are_served_from_nothing(loop: Loop) -> None:
    happened = [event.kind for event in loop.events()]  # a version may be seen a look before its run's end is
    assert set(happened) == {"RunRequested", "RunSucceeded", "VersionFound", "Promoted"}
    assert (happened[0], happened[-1], len(happened)) == ("RunRequested", "Promoted", 4)
    asked = loop.rows(40)
    answer = loop.predict(asked).json()
    assert (answer["model_name"], answer["model_version"]) == ("fields", "1")

    model = artifact.load(loop.state / "models" / "fields" / "1", loop.spec.spec.training.trust, loop.code)
    assert type(model.estimator).__name__ == "Crops"
    expected = scoring.answer(model.contract, model.estimator, models.frame(model.contract, asked))
    assert expected.labels is not None
    assert expected.probabilities is not None
    assert [p["label"] for p in answer["predictions"]] == expected.labels
    assert {p["label"] for p in answer["predictions"]} == {"barley", "oats", "rye"}
    for said, probabilities in zip(answer["predictions"], expected.probabilities, strict=True):
        assert said["probabilities"] == pytest.approx(dict(zip(model.contract.classes, probabilities, strict=True)))
        assert said["score"] == pytest.approx(max(probabilities))


def test_drift_asks_for_a_retrain_by_itself_and_its_canary_gets_traffic(loop: Loop) -> None:
    every = timedelta(seconds=2)
    drift = {
        "every": "2s", "window": "8s", "minRows": 150, "retrain": {"violations": 2, "of": 5}, "cooldown": "1h",
        "detector": "scipy",
    }  # fmt: skip
    at = datetime.now(UTC)
    easy = {**ROLLOUT, "guardrails": {**ROLLOUT["guardrails"], "errors": {"margin": 0.1}}}
    loop.write(fields(rollout=easy, drift={**drift, "cooldown": "0s"}))
    with calls(loop, shifted(loop.rows(50)), rate=50) as got:
        found = loop.happens("DriftFound", at)
        asked = loop.happens("RunRequested", at)
        loop.write(fields(rollout=easy, drift=drift))  # one is enough
        run = loop.status.run
        assert run is not None
        assert (run.cause, run.key) == ("drift", asked.message.split(":")[0])
        windows = loop.status.drift
        assert [w.verdict.outcome for w in windows][-2:] == ["fail", "fail"]
        # Of a window that the change falls into, soil may look clumped: rows of all soils, then of sand alone.
        loop.until(lambda: drifted(loop) >= {"rain_mm", "soil"}, "a look at a window of shifted rows alone")
        ends = [w.window.end for w in windows]
        gaps = [later - earlier for earlier, later in itertools.pairwise(ends)]
        assert min(gaps) >= every * 0.99, "looks come every drift.every, never sooner"
        started = loop.happens("RolloutStarted", at, 240)  # a whole run of the pipeline before it
        FIGURES.info(
            "drift found %.1f s after the shift, asked after %.1f s, canary with traffic %.1f s after it was asked",
            (found.at - at).total_seconds(), (asked.at - at).total_seconds(), (started.at - asked.at).total_seconds(),
        )  # fmt: skip
        made = loop.registry.versions(loop.name)[-1]
        assert (made.number, made.trigger) == (started.version, run.key)
        loop.serves(made.number)
    assert got.failed() == []


def test_one_trigger_that_fires_three_times_at_once_is_one_run_and_a_gate_that_fails_changes_nothing(
    loop: Loop,
) -> None:
    champion, at = loop.status.champion, datetime.now(UTC)
    runs = set((loop.state / "runs").glob("*/run.json"))
    versions = loop.registry.versions(loop.name)
    cooldown = timedelta(seconds=10)
    with calls(loop, shifted(loop.rows(50)), rate=50) as got:
        loop.until(lambda: len(got.answers) >= 250, "a window full of drift")
        loop.until(lambda: datetime.now(UTC) - ended(loop) > cooldown, "the cooldown after the run before")
        strict = data_sets.multiclass()[0].spec.data.model_dump(mode="json", by_alias=True, exclude_unset=True)
        drift = {
            "every": "1h", "window": "10s", "minRows": 100, "retrain": {"violations": 1, "of": 1}, "cooldown": "10s",
            "detector": "scipy",
        }  # fmt: skip
        # The supervisor's own look is due by this edit, and at the same time two people look and one asks.
        loop.write(fields(drift=drift, data={**strict, "source": {"python": "crops_of_a_user:rows"},
                                             "checks": {"minRows": 1_000_000}}))  # fmt: skip
        command = [sys.executable, "-m", "services.cli.main", "drift", "check", "code/loop.yaml", "--state", "state"]
        checks = [
            subprocess.Popen(command, cwd=loop.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(2)
        ]
        loop.ask("run")
        for check in checks:
            said, _ = check.communicate(timeout=60)
            assert check.returncode == 0, said
        failed = loop.happens("RunFailed", at, 180)
    loop.write(fields())
    new = set((loop.state / "runs").glob("*/run.json")) - runs
    assert len(new) == 1, loop.story()
    assert len([event for event in loop.events("RunFailed", "RunSucceeded") if event.at >= at]) == 1
    assert "failed in step check" in failed.message
    assert "has 2000 rows" in failed.message
    last = loop.status.last_run
    assert last is not None
    assert (last.key, last.phase) == (new.pop().parent.name, "failed")
    assert last.reason in failed.message
    assert loop.registry.versions(loop.name) == versions
    assert (loop.status.champion, loop.status.rollout) == (champion, None)
    assert loop.predict(loop.rows()).status_code == 200
    assert got.failed() == []


def test_a_canary_that_fails_for_one_row_in_ten_loses_its_traffic(loop: Loop) -> None:
    loop.write(fields())
    champion, at = loop.status.champion, datetime.now(UTC)
    usual = loop.rows(90)
    high = [{**row, "height_m": 950.0} for row in usual[:10]]
    version = loop.register(
        python="crops_of_a_user:fit_afraid", params={}, trust=["crops_of_a_user.Crops", "crops_of_a_user.Afraid"]
    )
    mixed = [row for group in range(10) for row in (*usual[9 * group : 9 * group + 9], high[group])]
    with calls(loop, mixed, rate=50) as got:
        event = loop.happens("RolledBack", at, 120)
        loop.until(lambda: version not in loop.weights(), "Envoy sends it nothing any more", 20)
        gone = time.monotonic()
        loop.until(lambda: len(got.since(gone)) >= 50, "requests without it", 20)
    asked = [answer for answer in got.answers if answer.version == version]
    first = min(answer.sent for answer in asked)
    FIGURES.info(
        "a canary with 10 %% errors at 50 requests/s and 20 %%: its traffic was gone %.1f s after its first request "
        "(%d requests, %d errors)", gone - first, len(asked), len(got.failed()),
    )  # fmt: skip
    assert "errors: canary" in event.message
    assert "worse by more than 1 percentage point" in event.message
    assert {answer.status for answer in got.failed()} == {500}, "its own answers, the evidence; none was lost"
    assert {answer.version for answer in got.failed()} == {version}
    assert [answer for answer in got.since(gone) if answer.status != 200] == []
    assert loop.status.champion == champion
