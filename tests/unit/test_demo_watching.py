from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from serinus.adapters.file_ledger import FileLedger
from serinus.facts import (
    DriftFinding,
    Event,
    Evidence,
    FeatureDrift,
    Rollout,
    RunRecord,
    Status,
    Verdict,
    Window,
)
from services.demo.record import Tick
from services.demo.traffic import Answer, Replay
from services.demo.watching import Watching

LOOP = "flight-delay"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def watching(folder: Path) -> Watching:
    return Watching(FileLedger(folder), LOOP, Replay(pd.DataFrame(), "http://127.0.0.1:9/", 4, 1.0, lambda *_: None))


def remember(watched: Watching, status: Status, *events: Event) -> None:
    watched.ledger.write(LOOP, status, events, watched.ledger.read(LOOP).revision)


def answer(version: int | None, status: int = 200) -> Answer:
    return Answer(1.0, 0.01, status, version, 0, 4)


def finding(**psi: float) -> DriftFinding:
    features = tuple(FeatureDrift(name, 0.0, value, value > 0.1) for name, value in psi.items())
    return DriftFinding(1, Window(NOW, NOW), 600, Verdict("drift", "fail", ""), features)


def test_before_the_first_request_nothing_is_seen(tmp_path: Path) -> None:
    seen = watching(tmp_path)
    assert seen.look() == Status(LOOP)
    assert seen.ticks == [Tick(0.0, "", {}, 0, {}, (), None, {}, {})]


def test_a_tick_counts_the_answers_since_the_one_before_by_who_gave_them(tmp_path: Path) -> None:
    seen = watching(tmp_path)
    seen.traffic.began = time.monotonic() - 10
    seen.traffic.day = "2013-02-03"
    seen.traffic.answers += [answer(1)] * 6 + [answer(2), answer(2, 500), answer(None, 0)]
    seen.look()
    seen.traffic.answers += [answer(2)] * 3
    seen.look()
    seen.look()

    first, second, third = seen.ticks
    assert (first.requests, first.weights, first.flying) == (9, {1: 75, 2: 25}, "2013-02-03")
    assert (second.requests, second.weights) == (3, {2: 100})
    assert (third.requests, third.weights) == (0, {})
    assert (seen.requests, seen.failed) == (12, 2)
    assert 10 <= first.seconds <= second.seconds <= third.seconds < 20


def test_a_canary_is_seen_from_its_first_step_with_its_evidence_to_base_ten(tmp_path: Path) -> None:
    seen = watching(tmp_path)
    waiting = Rollout(2, 1, NOW, step=-1, step_started=NOW, looked_until=NOW)
    remember(seen, Status(LOOP, champion=1, rollout=waiting))
    seen.look()
    evidence = {"errors": Evidence(log_harm=(math.log(1000),)), "latency": Evidence()}
    judged = Rollout(
        2, 1, NOW, 0, NOW, NOW, evidence=evidence,
        verdicts=(Verdict("errors", "fail", "worse"), Verdict("latency", "undecided", "no data")),
    )  # fmt: skip
    remember(seen, Status(LOOP, champion=1, rollout=judged))
    seen.look()

    before, during = seen.ticks
    assert (before.canary, before.harm, before.verdicts) == (None, {}, {})
    assert during.canary == 2
    assert during.harm == {"errors": pytest.approx(3.0), "latency": 0.0}
    assert during.verdicts == {"errors": "fail", "latency": "undecided"}


def test_drift_is_that_of_the_latest_window(tmp_path: Path) -> None:
    seen = watching(tmp_path)
    remember(seen, Status(LOOP, drift=(finding(temp=0.5, hour=0.3), finding(temp=0.2, hour=0.01))))
    seen.look()
    assert (seen.ticks[-1].psi, seen.ticks[-1].drifted) == ({"temp": 0.2, "hour": 0.01}, ("temp",))


def test_runs_are_remembered_as_they_were_last_seen(tmp_path: Path) -> None:
    seen = watching(tmp_path)
    first = RunRecord("flight-delay-drift-1", "drift", NOW)
    ended = RunRecord("flight-delay-drift-1", "drift", NOW, NOW, "succeeded", version=2)
    second = RunRecord("flight-delay-manual-2", "manual", NOW)
    for status in (Status(LOOP, run=first), Status(LOOP, run=second, last_run=ended), Status(LOOP)):
        remember(seen, status)
        seen.look()
    assert seen.runs == {first.key: ended, second.key: second}


def test_events_are_told_by_seconds_since_the_first_request(tmp_path: Path) -> None:
    seen = watching(tmp_path)
    began = datetime.now(UTC) - timedelta(seconds=100)
    seen.traffic.began = time.monotonic() - 100
    before = Event(began - timedelta(seconds=30), "Promoted", "version 1 serves everyone", 1)
    after = Event(began + timedelta(seconds=40), "DriftFound", "temp", 1)
    remember(seen, Status(LOOP), before, after)

    assert [event for _, event in seen.events()] == [before, after]
    assert [seconds for seconds, _ in seen.events()] == [pytest.approx(-30, abs=0.5), pytest.approx(40, abs=0.5)]
