"""What the loop keeps of a drift finding, and that the run it leads to knows what it was asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from serinus import wire
from serinus.facts import DriftFinding, FeatureDrift, Plan, Request, Shift, Status, Verdict, Why, Window
from tests.unit.loop_cases import CHAMPION, NOW, SECOND, SERVING, kinds, next_, run, world

DAY = timedelta(days=1)
TEMP = FeatureDrift("temp", 0.0, 0.4, True, Shift(0.3, sd=0.84, importance=0.5, since=NOW - DAY))
CALM = FeatureDrift("calm", 0.9, 0.0, False, Shift(0.01))


def finding(days: int = 0) -> DriftFinding:
    window = Window(NOW + (days - 1) * DAY, NOW + days * DAY)
    return DriftFinding(1, window, 900, Verdict("drift", "fail", "1 of 2 drifted"), (TEMP, CALM))


def told(status: Status, *found: DriftFinding, asked: str = "") -> Plan:
    requests = tuple(Request(f"d{i}", "drift", NOW, "drift job", 1, finding=f, run=asked) for i, f in enumerate(found))
    return next_(status, world(versions=(CHAMPION,), runs=(), requests=requests), NOW + SECOND)


def test_only_the_latest_finding_keeps_how_far_what_drifted_has_moved() -> None:
    kept = told(SERVING, finding(), finding(1)).status.drift
    assert [[one.shift for one in each.features] for each in kept] == [[None, None], [TEMP.shift, None]]
    assert [[(one.psi, one.drifted) for one in each.features] for each in kept] == [[(0.4, True), (0.0, False)]] * 2


def test_a_run_that_drift_asked_for_knows_why_even_when_the_runner_never_heard_of_it() -> None:
    plan = told(SERVING, finding(), asked="flights-drift-1")
    why = Why("1 of 2 drifted", (TEMP,))
    assert plan.status.run is not None
    assert plan.status.run.why == why
    again = next_(plan.status, world(versions=(CHAMPION,), runs=()), NOW + DAY / 1000)
    assert again.run is not None
    assert (again.run.key, again.run.why) == ("flights-drift-1", why)


def test_a_run_that_was_seen_before_the_look_that_asked_for_it_was_read_says_so_once() -> None:
    seen = world(versions=(CHAMPION,), runs=(run("flights-drift-1"),))
    early = next_(SERVING, seen).status
    assert early.run is not None
    assert early.run.why is None
    asked = Request("d", "drift", NOW, "drift job", 1, finding=finding(), run="flights-drift-1")
    plan = next_(early, replace(seen, requests=(asked,)), NOW + SECOND)
    assert kinds(plan) == ["DriftFound", "RunRequested"]
    assert plan.events[-1].by == "drift job"
    assert plan.status.run == replace(early.run, requested=NOW, why=Why("1 of 2 drifted", (TEMP,)))
    told_twice = next_(plan.status, replace(seen, requests=(replace(asked, id="d2"),)), NOW + 2 * SECOND)
    assert kinds(told_twice) == []


def test_a_run_that_a_person_asked_for_says_so() -> None:
    requests = (Request("r", "run", NOW, "ann"),)
    plan = next_(SERVING, world(versions=(CHAMPION,), runs=(), requests=requests), NOW + SECOND)
    assert kinds(plan) == ["RunRequested"]
    assert plan.run is not None
    assert plan.run.why == Why("ann asked for it")


def test_a_memory_of_before_there_were_shifts_and_reasons_can_still_be_read() -> None:
    status = told(SERVING, finding(), asked="flights-drift-1").status
    old = json.loads(wire.dump(status))
    del old["run"]["why"]
    for one in old["drift"][0]["features"]:
        del one["shift"]
    read = wire.load(Status, json.dumps(old).encode())
    assert status.run is not None
    assert read.run == replace(status.run, why=None)
    assert [one.shift for one in read.drift[0].features] == [None, None]
