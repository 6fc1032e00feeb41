"""When jobs look: each every so often, over restarts too, never two looks at a time, and again after a failure."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

from serinus.adapters.fakes.ledger import FakeLedger
from serinus.facts import DriftFinding, Request, Verdict, Window
from serinus.spec import ModelLoop
from services.local.clock import DRIFT, INTAKE, QUALITY, Clock, Pace
from tests.unit.loop_cases import NOW, SERVING, spec

LOOP = spec("drift: {every: 10m, window: 1h}")
MINUTE = timedelta(minutes=1)


class Bench:
    def __init__(self, pace: Pace = DRIFT) -> None:
        self.pace = pace
        self.ledger, self.looks = FakeLedger(), list[datetime]()
        self.problem: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        self.ledger.write("flights", SERVING, [], 0)
        self.restart()

    def restart(self) -> None:
        self.clock = Clock(self.pace, self.ledger, self.look)

    def look(self, _spec: ModelLoop, now: datetime) -> None:
        self.looks.append(now)
        self.go_on.wait(10)
        if self.problem is not None:
            raise self.problem

    def tick(self, *minutes: float, loop: ModelLoop = LOOP) -> None:
        for minute in minutes:
            self.clock.tick(loop, NOW + minute * MINUTE)
            if self.go_on.is_set():
                self.clock.join(10)

    def looked(self) -> list[float]:
        return [(at - NOW) / MINUTE for at in self.looks]


def finding(minute: float) -> DriftFinding:
    end = NOW + minute * MINUTE
    return DriftFinding(1, Window(end - 60 * MINUTE, end), 1000, Verdict("drift", "pass", "alike"))


def test_looks_come_every_so_often() -> None:
    bench = Bench()
    bench.tick(0, 1, 9.9, 10, 11, 19.9, 20.5, 30, 30.5)
    assert bench.looked() == [0, 10, 20.5, 30.5]


def test_a_supervisor_that_starts_counts_from_the_last_look_that_the_ledger_knows() -> None:
    bench = Bench()
    bench.ledger.write("flights", replace(SERVING, drift=(finding(-7), finding(-3))), [], 1)
    bench.tick(0, 6.9, 7)
    assert bench.looked() == [7]


def test_a_look_whose_finding_is_still_in_the_inbox_counts_too() -> None:
    bench = Bench()
    bench.ledger.ask("flights", Request("a", "drift", NOW, "drift job", 1, finding=finding(-1)))
    bench.tick(0, 8.9, 9)
    assert bench.looked() == [9]


def test_nothing_is_looked_at_before_there_is_a_champion_or_when_drift_is_switched_off() -> None:
    bench = Bench()
    bench.tick(0, 20, loop=spec("drift: null"))
    bench.ledger.write("flights", replace(SERVING, champion=None), [], 1)
    bench.tick(40, 60)
    assert bench.looked() == []
    bench.ledger.write("flights", SERVING, [], 2)
    bench.tick(61)
    assert bench.looked() == [61]


def test_an_edit_of_the_interval_counts_at_once() -> None:
    bench = Bench()
    bench.tick(0, 3, loop=LOOP)
    bench.tick(4, loop=spec("drift: {every: 2m, window: 1h}"))
    assert bench.looked() == [0, 4]


def test_a_look_that_takes_long_is_not_joined_by_a_second_one() -> None:
    bench = Bench()
    bench.go_on.clear()
    bench.tick(0, 15, 30)
    assert bench.looked() == [0]
    bench.go_on.set()
    bench.clock.join(10)
    bench.tick(31)
    assert bench.looked() == [0, 31]


def test_a_look_that_failed_altogether_is_told_and_repeated_soon() -> None:
    bench = Bench()
    bench.problem = OSError(28, "No space left on device")
    bench.tick(0, 0.5, 0.9, 1)
    assert bench.looked() == [0, 1]
    assert bench.clock.trouble == "OSError: [Errno 28] No space left on device"
    bench.problem = None
    bench.tick(2, 3, 11, 12)
    assert bench.looked() == [0, 1, 2, 12]
    assert bench.clock.trouble == ""


LABELS = "labels: {every: 5m, source: {files: {uri: truth.csv}, id: id, value: late}}"


def test_the_quality_job_looks_when_the_spec_has_quality_and_at_once_after_a_restart() -> None:
    bench, loop = Bench(QUALITY), spec("collect: {}\n  quality: {every: 10m}")
    bench.tick(0, loop=spec())
    assert bench.looked() == []
    bench.tick(1, 5, 11, loop=loop)
    bench.restart()
    bench.tick(12, 13, loop=loop)
    assert bench.looked() == [1, 11, 12]


def test_the_intake_keeps_the_faster_of_its_two_paces() -> None:
    bench = Bench(INTAKE)
    bench.tick(0, loop=spec("collect: {}"))
    assert bench.looked() == []
    bench.tick(1, 7, loop=spec(f"collect: {{}}\n  {LABELS}\n  newData: {{rows: 10, every: 6m}}"))
    bench.tick(12, 13, loop=spec("newData: {rows: 10, every: 6m}"))
    assert bench.looked() == [1, 7, 13]
