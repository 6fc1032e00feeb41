"""What people and jobs ask of a loop: each request has one effect, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from serinus.facts import AliasMove, DriftFinding, Request, Routing, RunRecord, Variant, Verdict, Window
from tests.unit.loop_cases import (
    CHALLENGER,
    CHAMPION,
    NOW,
    SECOND,
    SERVING,
    canary,
    kinds,
    next_,
    routing,
    run,
    spec,
    version,
    world,
)

MANUAL = spec(text="approval: required")
BOTH = (CHAMPION, CHALLENGER)


def ask(kind: str, **changes: Any) -> Request:
    return Request(f"id-{kind}-{changes}", kind, NOW, "ann", **changes)  # type: ignore[arg-type]


def finding(outcome: str, minutes: int = 0) -> DriftFinding:
    end = NOW + timedelta(minutes=minutes)
    verdict = Verdict("drift", outcome, f"it is {outcome}")  # type: ignore[arg-type]
    return DriftFinding(1, Window(end - timedelta(minutes=5), end), 1000, verdict)


def test_a_run_asked_for_by_a_person_is_named_by_the_time_of_asking() -> None:
    plan = next_(SERVING, world(versions=(CHAMPION,), requests=(ask("run"),)), NOW + SECOND)
    assert plan.run is not None
    assert plan.run.key == "flights-manual-20260302T120000Z"
    assert plan.run.cause == "manual"


def test_a_flood_of_requests_is_handled_once_each_over_several_looks() -> None:
    open_ = [Request(f"{n:03}", "approve", NOW + n * SECOND, "ann", version=n) for n in range(450)]
    status, said, looks = SERVING, [], 0
    while open_:
        plan = next_(status, world(versions=(CHAMPION,), requests=tuple(open_)))
        status, looks = plan.status, looks + 1
        said += [event.message for event in plan.events]
        open_ = [request for request in open_ if request.id not in status.handled]  # as a ledger drops them
    assert looks == 3
    assert said == [f"ann wanted to approve version {n}, but no version waits for a decision" for n in range(450)]


def test_a_request_is_handled_once() -> None:
    seen = world(versions=(CHAMPION,), requests=(ask("run"),))
    plan = next_(SERVING, seen)
    ended = replace(plan.status, run=None)
    assert next_(ended, seen).run is None


def test_a_run_is_not_asked_for_while_one_is_in_flight() -> None:
    busy = replace(SERVING, run=RunRecord("flights-drift-1", "drift", NOW))
    seen = world(versions=(CHAMPION,), runs=(run("flights-drift-1"),), requests=(ask("run"),))
    plan = next_(busy, seen)
    assert plan.run is None
    assert kinds(plan) == ["RequestIgnored"]


def test_a_request_for_a_run_stays_open_while_the_runner_cannot_be_asked() -> None:
    plan = next_(SERVING, world(versions=(CHAMPION,), runs=None, requests=(ask("run"),)))
    assert plan.status.handled == ()


def test_a_version_that_needs_approval_waits_for_it() -> None:
    seen = world(versions=BOTH, routing=routing((1, 100)))
    waits = next_(SERVING, seen, of=MANUAL)
    assert kinds(waits) == ["VersionFound", "AwaitingApproval"]
    assert waits.status.rollout is None
    assert kinds(next_(waits.status, seen, NOW + SECOND, of=MANUAL)) == []
    said = replace(seen, requests=(ask("approve", version=2, reason="looks fine"),))
    let_in = next_(waits.status, said, NOW + 2 * SECOND, of=MANUAL)
    assert let_in.status.rollout is not None
    assert let_in.status.rollout.version == 2
    assert let_in.status.approved_by == "ann"
    assert "looks fine" in let_in.events[0].message


def test_the_approver_is_kept_with_the_promoted_version() -> None:
    seen = world(versions=(version(1, "challenger"),), requests=())
    waits = next_(replace(SERVING, champion=None, decided=0), seen, of=MANUAL)
    said = next_(waits.status, replace(seen, requests=(ask("approve", version=1),)), of=MANUAL)
    plan = next_(said.status, replace(seen, routing=routing((1, 100))), NOW + SECOND, of=MANUAL)
    assert plan.records[-1].approved_by == "ann"


def test_an_approval_for_a_version_that_does_not_wait_is_ignored() -> None:
    plan = next_(SERVING, world(versions=(CHAMPION,), requests=(ask("approve", version=7),)))
    assert kinds(plan) == ["RequestIgnored"]
    assert "no version waits" in plan.events[0].message


def test_a_waiting_version_can_be_rejected() -> None:
    waits = next_(SERVING, world(versions=BOTH, routing=routing((1, 100))), of=MANUAL)
    plan = next_(waits.status, world(versions=BOTH, requests=(ask("reject", version=2),)), of=MANUAL)
    assert (plan.status.waiting, plan.status.decided) == (None, 2)
    assert plan.records[0].outcome == "rejected"
    assert AliasMove("challenger", None) in plan.aliases


def test_a_decision_about_another_version_names_the_one_that_waits() -> None:
    waits = next_(SERVING, world(versions=BOTH, routing=routing((1, 100))), of=MANUAL)
    plan = next_(waits.status, world(versions=BOTH, requests=(ask("reject", version=9),)), of=MANUAL)
    assert "version 2 is the one that waits" in plan.events[0].message


def test_rejecting_the_canary_rolls_it_back() -> None:
    status = replace(SERVING, rollout=canary())
    plan = next_(status, world(versions=BOTH, routing=routing((1, 80), (2, 20)), requests=(ask("reject", version=2),)))
    assert kinds(plan) == ["RolledBack"]
    assert plan.routing == Routing((Variant(1, 100),))


def test_a_person_can_roll_the_canary_back() -> None:
    status = replace(SERVING, rollout=canary())
    plan = next_(status, world(versions=BOTH, routing=routing((1, 80), (2, 20)), requests=(ask("rollback"),)))
    assert plan.status.rollout is None


def test_a_canary_that_was_gone_before_the_request_came_does_not_take_the_champion_with_it() -> None:
    status = replace(SERVING, champion=2, previous=1, decided=3)
    seen = world(versions=(version(1), version(2, "champion"), version(3)), requests=(ask("rollback", version=3),))
    plan = next_(status, seen)
    assert kinds(plan) == ["RequestIgnored"]
    assert plan.status.champion == 2


def test_a_person_can_bring_the_last_champion_back() -> None:
    status = replace(SERVING, champion=2, previous=1, decided=2)
    seen = world(versions=(version(1), version(2, "champion")), requests=(ask("rollback"),))
    plan = next_(status, seen)
    assert plan.status.champion == 1
    assert plan.records[0].started == NOW
    assert AliasMove("champion", 1) in plan.aliases


def test_a_rollback_without_anything_to_go_back_to_is_ignored() -> None:
    assert kinds(next_(SERVING, world(versions=(CHAMPION,), requests=(ask("rollback"),)))) == ["RequestIgnored"]


def test_drift_is_said_when_it_begins_and_when_it_is_over() -> None:
    status, told = SERVING, []
    for minute, outcome in enumerate(["pass", "fail", "fail", "undecided", "fail", "pass", "pass"]):
        request = replace(ask("drift"), id=str(minute), finding=finding(outcome, minute))
        plan = next_(status, world(versions=(CHAMPION,), requests=(request,)), NOW + timedelta(minutes=minute))
        status = plan.status
        told.append(kinds(plan))
    assert told == [[], ["DriftFound"], [], [], ["DriftFound"], ["DriftGone"], []]
    assert len(status.drift) == 7


def test_the_run_that_a_finding_led_to_is_followed_even_when_it_ended_meanwhile() -> None:
    request = ask("drift", finding=finding("fail"), run="flights-drift-7")
    plan = next_(SERVING, world(versions=(CHAMPION,), requests=(request,)))
    assert plan.status.run is not None
    assert plan.status.run.key == "flights-drift-7"
    ended = run("flights-drift-7", "failed", reason="no rows")
    after = next_(plan.status, world(versions=(CHAMPION,), runs=(ended,)), NOW + SECOND)
    assert after.status.last_run is not None
    assert after.status.last_run.ended is not None


def test_a_run_that_is_over_already_is_not_followed_again() -> None:
    over = replace(SERVING, last_run=RunRecord("flights-drift-7", "drift", NOW, ended=NOW))
    request = ask("drift", finding=finding("fail"), run="flights-drift-7")
    assert next_(over, world(versions=(CHAMPION,), requests=(request,))).status.run is None


def test_a_drift_report_without_a_finding_is_ignored() -> None:
    plan = next_(SERVING, world(versions=(CHAMPION,), requests=(ask("drift"),)), of=spec(text="drift: null"))
    assert kinds(plan) == ["RequestIgnored"]


def test_without_a_drift_job_findings_are_kept_all_the_same() -> None:
    request = ask("drift", finding=finding("pass"))
    plan = next_(SERVING, world(versions=(CHAMPION,), requests=(request,)), of=spec(text="drift: null"))
    assert len(plan.status.drift) == 1


def test_windows_that_were_not_decided_do_not_push_out_those_that_were() -> None:
    status = SERVING
    for minute, outcome in enumerate(["fail", "pass", *["undecided"] * 30, "fail"]):
        request = replace(ask("drift"), id=str(minute), finding=finding(outcome, minute))
        status = next_(status, world(versions=(CHAMPION,), requests=(request,))).status
    outcomes = [f.verdict.outcome for f in status.drift]
    assert (outcomes[:2], outcomes[-1], len(outcomes)) == (["fail", "pass"], "fail", 20)


def test_the_oldest_decided_window_goes_when_all_were_decided() -> None:
    status = SERVING
    for minute in range(25):
        request = replace(ask("drift"), id=str(minute), finding=finding("pass", minute))
        status = next_(status, world(versions=(CHAMPION,), requests=(request,))).status
    assert [f.window.end for f in status.drift] == [NOW + timedelta(minutes=m) for m in range(5, 25)]
