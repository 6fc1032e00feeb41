from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from serinus import artifact, loading, models, sources
from serinus.adapters.file_ledger import FileLedger
from serinus.facts import Cause, Event, RunRecord, Status
from serinus.models import scoring
from serinus.spec import ModelLoop
from services.demo import flights, summary
from services.demo.record import Candidate, Record, Tick
from services.demo.traffic import Answer, Replay
from services.demo.watching import Watching
from tests.unit import made_up_record

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flights"
LOOP = "flight-delay"
FIRST_ID = 1000
SLOW = 0.25  # seconds, the example's threshold


def some_flights(start: str, end: str, rows: int, seed: int) -> pd.DataFrame:
    """Made-up flights in the order of time; the later the hour, the later the flight."""
    draw = np.random.default_rng(seed)
    first, last = (int(pd.Timestamp(day, tz="UTC").timestamp()) for day in (start, end))
    hour = draw.integers(5, 24, rows)
    weather = {name: np.where(draw.random(rows) < 0.05, np.nan, draw.normal(50, 9, rows)) for name in flights.WEATHER}
    made: dict[str, Any] = {
        "flight_id": np.arange(FIRST_ID, FIRST_ID + rows),
        "time_hour": pd.to_datetime(np.sort(draw.integers(first, last, rows)), unit="s", utc=True),
        "distance": draw.integers(90, 2500, rows),
        "hour": hour,
        **weather,
        "carrier": draw.choice(["AA", "UA", "DL"], rows),
        "origin": draw.choice(["EWR", "JFK", "LGA"], rows),
        "late": (draw.random(rows) < 1 / (1 + np.exp((16 - hour) / 4))).astype(int),
    }
    return pd.DataFrame(made)[flights.COLUMNS]


@pytest.fixture(scope="module")
def spec() -> ModelLoop:
    """The example with a model that is quickly made."""
    loop = loading.read(EXAMPLE / "loop.yaml")
    training = loop.spec.training.model_copy(update={"params": {"max_iter": 20}})
    return loop.model_copy(update={"spec": loop.spec.model_copy(update={"training": training})})


@pytest.fixture(scope="module")
def january() -> pd.DataFrame:
    return some_flights("2013-01-01", "2013-02-01", 2000, seed=1)


def learned(spec: ModelLoop, january: pd.DataFrame, folder: Path) -> artifact.Model:
    """The model of January as a pipeline makes it that holds its last hour back: read, snapshot, fit, kept, loaded."""
    data = spec.spec.data.model_copy(update={"holdout": timedelta(hours=1)})
    spec = spec.model_copy(update={"spec": spec.spec.model_copy(update={"data": data})})
    flights.append(january, folder / "data", "2013-01")
    frame = sources.read(spec, folder, datetime.now(UTC))
    sources.snapshot(frame, "made up", "time_hour", folder / "dataset")
    estimator, contract = models.fit(spec, *sources.open_snapshot(folder / "dataset"), None)
    artifact.save(folder / "model", estimator, contract)
    return artifact.load(folder / "model")


@dataclass
class Demo:
    """A demo of 400 seconds that is over, as its callers and its ledger tell it."""

    spec: ModelLoop
    january: pd.DataFrame
    tmp_path: Path
    rows: pd.DataFrame = field(default_factory=lambda: some_flights("2013-02-01", "2013-05-01", 600, seed=2))
    answers: list[Answer] = field(default_factory=list)
    runs: dict[str, RunRecord] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    ticks: Sequence[Tick] = ()

    def __post_init__(self) -> None:
        self.began, self.wall = time.monotonic() - 400, datetime.now(UTC) - timedelta(seconds=400)
        self.events = [self.event(-20, "Promoted", "version 1 serves everyone", 1)]

    def event(self, second: float, kind: str, message: str, version: int | None = None, **figures: float) -> Event:
        return Event(self.wall + timedelta(seconds=second), kind, message, version, figures)

    def says(self, second: float, kind: str, message: str, version: int | None = None, **figures: float) -> None:
        self.events.append(self.event(second, kind, message, version, **figures))

    def ran(self, key: str, version: int | None, second: float, cause: Cause = "drift", fault: str = "") -> None:
        """A run that was asked for at `second` and registered `version`."""
        asked = self.wall + timedelta(seconds=second)
        self.runs[key] = RunRecord(key, cause, asked, asked, "succeeded", version=version)
        self.says(second, "RunRequested", f"{key}: asked for")
        if fault:
            self.broken[key] = fault

    def answered(
        self, at: int, version: int | None, status: int = 200, sent: float = 1.0, seconds: float = 0.01
    ) -> Answer:
        """The answer to the request whose first row is at `at`, four rows a request."""
        rows = len(self.rows[at : at + 4])
        scores = tuple(np.random.default_rng(at).random(rows).tolist()) if status == 200 else ()
        answer = Answer(sent, seconds, status, version, FIRST_ID + at, rows, scores)
        self.answers.append(answer)
        return answer

    def record(self) -> Record:
        traffic = Replay(self.rows, "http://127.0.0.1:9/", 4, 1.0, lambda *_: None, answers=self.answers)
        traffic.began = self.began
        ledger = FileLedger(self.tmp_path / "ledger")
        ledger.write(LOOP, Status(LOOP), sorted(self.events, key=lambda e: e.at), 0)
        watching = Watching(ledger, LOOP, traffic, ticks=list(self.ticks), runs=self.runs)
        return summary.make(watching, traffic, self.spec, self.january, self.broken)


@pytest.fixture
def demo(spec: ModelLoop, january: pd.DataFrame, tmp_path: Path) -> Demo:
    return Demo(spec, january, tmp_path)


# --- quality by month ---------------------------------------------------------------------------------------------


def test_quality_by_month_is_that_of_the_answers_and_of_januarys_model_on_the_same_flights(demo: Demo) -> None:
    model = learned(demo.spec, demo.january, demo.tmp_path)
    kept: dict[str, list[tuple[int, float, float, int]]] = {}
    for at in reversed(range(0, len(demo.rows), 4)):  # answers do not come in the order of the requests
        if at % 28 == 0:
            demo.answered(at, 1, status=503)
            continue
        version = 1 + at % 3
        answer = demo.answered(at, version)
        sent = demo.rows[at : at + 4]
        alone = scoring.score(model.contract, model.estimator, models.frame(model.contract, flights.instances(sent)))
        for when, late, score, frozen in zip(sent["time_hour"], sent["late"], answer.scores, alone, strict=True):
            kept.setdefault(f"{when:%Y-%m}", []).append((int(late), score, float(frozen), version))

    found = demo.record().months
    assert [m.month for m in found] == ["2013-02", "2013-03", "2013-04"] == sorted(kept)
    for month in found:
        late, scores, frozen, by = zip(*kept[month.month], strict=True)
        assert month.rows == len(late)
        assert month.loop == pytest.approx(roc_auc_score(late, scores), abs=1e-12)
        # The demo's frame is in another order than a snapshot: sums differ in their last bits, and ties with them.
        assert month.frozen == pytest.approx(roc_auc_score(late, frozen), abs=0.005)
        assert month.versions == {v: by.count(v) for v in sorted(set(by))}
    assert all(m.frozen > 0.6 > m.loop for m in found), "expected a model that learned, and answers by chance"


def test_the_model_to_compare_with_learned_all_of_january(demo: Demo) -> None:
    """The first version keeps the newest two weeks as its holdout. Here there is nothing to learn before them."""
    draw = np.random.default_rng(5)
    early = demo.january["time_hour"] < pd.Timestamp("2013-01-18", tz="UTC")
    demo.january = demo.january.assign(late=np.where(early, draw.integers(0, 2, len(early)), demo.january["late"]))
    for at in range(0, len(demo.rows), 4):
        demo.answered(at, 1)
    assert np.mean([m.frozen for m in demo.record().months]) > 0.65


def test_a_month_whose_answered_flights_were_all_in_time_has_no_quality(demo: Demo) -> None:
    demo.rows = demo.rows.assign(late=np.where(demo.rows["time_hour"].dt.month == 3, 0, demo.rows["late"]))
    for at in range(0, len(demo.rows), 4):
        demo.answered(at, 1)
    assert [m.month for m in demo.record().months] == ["2013-02", "2013-04"]


def test_a_demo_without_a_single_answer_has_a_record_all_the_same(demo: Demo) -> None:
    demo.answered(0, None, status=0)
    record = demo.record()
    assert (record.months, record.requests, record.failed) == ((), 1, 1)
    assert math.isnan(record.p50)
    assert "1 of 1 requests failed" in record.missed


# --- requests -----------------------------------------------------------------------------------------------------


def test_only_the_broken_canarys_own_errors_are_injected(demo: Demo) -> None:
    demo.ran("flight-delay-manual-1", 2, 50, "manual", fault="errors")
    demo.ran("flight-delay-manual-2", 3, 80, "manual", fault="slow")
    for at in range(0, 400, 4):
        demo.answered(at, 1)
    injected = [(2, 500), (2, 500)]
    failed = [(1, 500), (3, 500), (None, 500), (2, 503), (2, 400), (2, 0), (None, 0)]
    for i, (version, status) in enumerate([*injected, *failed]):
        demo.answered(400 + 4 * i, version, status)

    record = demo.record()
    assert (record.requests, record.rows) == (109, 436)
    assert (record.injected, record.failed) == (2, 7)
    assert record.missed[0] == "7 of 109 requests failed"


def test_a_second_is_told_what_failed_in_it(demo: Demo) -> None:
    demo.ran("flight-delay-manual-1", 2, 50, "manual", fault="errors")
    tick = Tick(0.0, "2013-02-01", {1: 100}, 4, {}, (), None, {}, {})
    demo.ticks = [replace(tick, seconds=s) for s in (1.0, 2.0, 3.0)]
    demo.answered(0, 1, 200, sent=0.1)
    demo.answered(4, 1, 503, sent=0.5)
    demo.answered(8, 2, 500, sent=0.9, seconds=0.5)  # answered in the next second
    demo.answered(12, None, 0, sent=1.5, seconds=15.0)  # after the last look

    ticks = demo.record().ticks
    assert [(t.failed, t.injected) for t in ticks] == [(1, 0), (0, 1), (1, 0)]
    assert [replace(t, failed=0, injected=0) for t in ticks] == demo.ticks


def test_ticks_of_a_demo_without_failures_are_as_they_were(demo: Demo) -> None:
    demo.ticks = [Tick(1.0, "2013-02-01", {1: 100}, 1, {}, (), None, {}, {})]
    demo.answered(0, 1)
    assert demo.record().ticks == tuple(demo.ticks)


def test_times_and_threshold_are_those_of_right_answers_and_of_the_file(demo: Demo) -> None:
    for i, seconds in enumerate(np.linspace(0.01, 0.05, 101)):
        demo.answered(4 * i, 1, seconds=float(seconds))
    demo.answered(404, 1, status=0, seconds=15.0)
    record = demo.record()
    assert [record.p50, record.p99] == pytest.approx([0.03, 0.0496])
    # Of 1 % of false rollbacks half are for errors, the others are for four guardrails.
    others = dict.fromkeys(("rejections", "latency", "slowdown", "scores"), math.log10(800))
    assert record.limits == pytest.approx({"errors": math.log10(200), **others})


# --- candidates ---------------------------------------------------------------------------------------------------


def test_a_candidate_is_told_from_its_run_to_its_end(demo: Demo) -> None:
    demo.ran("flight-delay-manual-1", 2, 60, "manual", fault="errors")
    demo.says(100, "RolloutStarted", "version 2 now gets 20 %", 2)
    demo.says(110, "RolledBack", "version 2 was rolled back: errors", 2, errors=3.1)
    demo.answered(4, 2, 500, sent=105.0)
    demo.answered(0, 2, 200, sent=101.5)
    demo.answered(8, 2, 500, sent=106.0)
    demo.answered(12, 2, 500, sent=130.0)  # on its way to a canary that was thrown back already: no evidence any more
    demo.answered(16, 1, 500, sent=105.0)

    (found,) = demo.record().candidates
    assert found == Candidate(
        version=2,
        cause="manual",
        fault="errors",
        outcome="rolled-back",
        reason="version 2 was rolled back: errors",
        started=pytest.approx(60, abs=0.5),  # type: ignore[arg-type]
        first_traffic=101.5,
        ended=pytest.approx(110, abs=0.5),  # type: ignore[arg-type]
        answers=3,
        bad=2,
        harm={"errors": 3.1},
    )


def test_slow_answers_are_what_is_bad_about_the_slow_candidate(demo: Demo) -> None:
    demo.ran("flight-delay-manual-1", 2, 60, "manual", fault="slow")
    for at, seconds in ((0, SLOW + 0.01), (4, SLOW - 0.01), (8, 0.4)):
        demo.answered(at, 2, sent=100.0, seconds=seconds)
    demo.answered(12, 2, 500, sent=100.0)
    (found,) = demo.record().candidates
    assert (found.answers, found.bad) == (4, 2)


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("Promoted", "promoted"),
        ("RolledBack", "rolled-back"),
        ("VersionSuperseded", "superseded"),
        ("Rejected", "rejected"),
    ],
)
def test_how_a_candidate_ended_is_what_the_events_say(demo: Demo, kind: str, outcome: str) -> None:
    demo.ran("flight-delay-drift-1", 2, 60)
    demo.says(90, kind, "so it was", 2)
    demo.answered(0, 1)
    (found,) = demo.record().candidates
    assert (found.outcome, found.reason, found.fault) == (outcome, "so it was", "")
    assert (found.first_traffic, found.answers, found.bad) == (None, 0, 0)


def test_candidates_come_in_the_order_of_their_runs_and_the_first_version_is_none(demo: Demo) -> None:
    demo.ran("flight-delay-initial-0", 1, -60, "initial")
    demo.ran("flight-delay-drift-9", 4, 200)
    demo.ran("flight-delay-drift-1", 2, 60)
    demo.ran("flight-delay-drift-5", None, 100)  # its gate said no
    demo.says(90, "Promoted", "version 2 serves everyone", 2)
    demo.answered(0, 1)
    found = demo.record().candidates
    assert [(c.version, c.outcome, c.ended is None) for c in found] == [(2, "promoted", False), (4, "under way", True)]


# --- promises -----------------------------------------------------------------------------------------------------

GOOD = made_up_record.record()


def without(record: Record, **which: object) -> Record:
    """The record without the candidates that have all these properties."""
    kept = [c for c in record.candidates if not all(getattr(c, name) == value for name, value in which.items())]
    return replace(record, candidates=tuple(kept))


def changed(record: Record, change: Mapping[str, Any], **which: object) -> Record:
    """The record with `change` made to the candidates that have all these properties."""
    return replace(
        record,
        candidates=tuple(
            replace(c, **change) if all(getattr(c, name) == value for name, value in which.items()) else c
            for c in record.candidates
        ),
    )


def gaining(record: Record, gain: float) -> Record:
    months = tuple(replace(m, loop=m.frozen + (gain if m.month != "2013-02" else 0.5)) for m in record.months)
    return replace(record, months=months)


def test_a_demo_as_it_should_be_misses_nothing() -> None:
    assert summary.missed(GOOD) == ()
    assert summary.missed(replace(GOOD, injected=1000)) == ()
    assert summary.missed(gaining(GOOD, 0.0301)) == ()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        pytest.param(replace(GOOD, failed=1, requests=900), "1 of 900 requests failed", id="failed"),
        pytest.param(
            without(without(GOOD, version=4), version=6),
            "1 canaries were promoted, expected at least 2",
            id="one promotion",
        ),
        pytest.param(
            changed(GOOD, {"cause": "manual"}, cause="drift"),
            "no retrain that drift asked for was promoted",
            id="drift",
        ),
        pytest.param(without(GOOD, fault="errors"), "the broken candidate 'errors' never came to its rollout", id="e"),
        pytest.param(without(GOOD, fault="slow"), "the broken candidate 'slow' never came to its rollout", id="s"),
        pytest.param(
            changed(GOOD, {"outcome": "under way"}, fault="errors"),
            "the broken candidate 'errors' was not rolled back: under way",
            id="errors under way",
        ),
        pytest.param(
            changed(GOOD, {"outcome": "promoted"}, fault="slow"),
            "the broken candidate 'slow' was not rolled back: promoted",
            id="slow promoted",
        ),
        pytest.param(
            gaining(GOOD, 0.0299),
            "the loop gained 0.0299 of AUC over January's model, expected at least 0.03",
            id="gain",
        ),
        pytest.param(
            gaining(GOOD, math.nan),
            "the loop gained nan of AUC over January's model, expected at least 0.03",
            id="no number",
        ),
        pytest.param(
            replace(GOOD, months=tuple(m for m in GOOD.months if m.month not in ("2013-07", "2013-10"))),
            "nothing is known of the quality in 2013-07, 2013-10",
            id="months",
        ),
    ],
)
def test_a_promise_that_was_not_kept_is_told_and_it_alone(record: Record, said: str) -> None:
    assert summary.missed(record) == (said,)


def test_a_broken_candidate_that_was_let_in_is_no_promotion() -> None:
    record = changed(GOOD, {"outcome": "promoted"}, fault="slow")
    found = summary.missed(without(without(record, version=4), version=6))
    assert "1 canaries were promoted, expected at least 2" in found


def test_a_demo_that_saw_nothing_kept_no_promise() -> None:
    assert len(summary.missed(Record((), (), (), (), 0, 0, 0, 0, math.nan, math.nan, {}))) == 5
