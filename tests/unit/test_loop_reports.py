"""What the quality job and the counting of new data report, and what the loop makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from serinus.decide.retrain import data_asks, enough_data
from serinus.facts import (
    Change,
    DataCount,
    Plan,
    QualityFinding,
    Request,
    RunRecord,
    RunState,
    Status,
    Verdict,
    Window,
)
from serinus.spec import NewData
from tests.unit.loop_cases import CHAMPION, NOW, SECOND, SERVING, kinds, next_, run, spec, world

DAY = timedelta(days=1)
WATCHED = spec(text="collect: {}\n  quality: {cooldown: 6h}\n  newData: {rows: 1000, cooldown: 6h}")
SHARE = spec(text="newData: {share: 0.5}")
CONCEPT = Change("concept", 0.08, 0.01, 0.01, "0.08 of the rise of 0.09 at unchanged inputs")


def finding(outcome: str, days: int = 0, version: int = 1, change: Change | None = None) -> QualityFinding:
    end = NOW + days * DAY
    verdict = Verdict("quality", outcome, f"accuracy is {outcome}", {"value": 0.7})  # type: ignore[arg-type]
    return QualityFinding(version, "accuracy", Window(end - DAY, end), verdict, change=change)


def report(found: QualityFinding | None, name: str = "q", **changes: Any) -> Request:
    return Request(name, "quality", NOW, "quality job", quality=found, **changes)


def counted(rows: int | None, name: str = "d", version: int | None = 1, learned: int | None = 4000) -> Request:
    return Request(name, "data", NOW, "intake", version, rows=rows, learned=learned)


def told(status: Status, *requests: Request, runs: tuple[RunState, ...] | None = (), **changes: Any) -> Plan:
    of = changes.pop("of", WATCHED)
    return next_(status, world(versions=(CHAMPION,), runs=runs, requests=requests), NOW + SECOND, of=of)


def test_quality_that_falls_is_said_with_what_changed_and_asks_for_a_run() -> None:
    plan = told(SERVING, report(finding("fail", change=CONCEPT)))
    assert kinds(plan) == ["QualityFell", "RunRequested"]
    fell = plan.events[0]
    assert fell.message == (
        "accuracy is fail; the same inputs are answered worse (concept drift): 0.08 of the rise of 0.09 at unchanged"
        " inputs"
    )
    assert (fell.version, fell.figures) == (1, {"value": 0.7, "concept": 0.08, "data": 0.01})
    assert plan.run is not None
    assert (plan.run.key, plan.run.cause) == ("flights-quality-20260302T120000Z", "quality")
    assert plan.status.quality == finding("fail", change=CONCEPT)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("data", "(data drift)"), ("both", "(concept drift and data drift)"), ("unclear", "cannot be told yet")],
)
def test_the_event_says_which_drift_it_was(kind: Any, words: str) -> None:
    plan = told(SERVING, report(finding("fail", change=replace(CONCEPT, kind=kind))))
    assert words in plan.events[0].message


def test_quality_is_said_when_it_falls_and_when_it_is_back_and_not_in_between() -> None:
    said: list[str] = []
    status = replace(SERVING, last_run=RunRecord("flights-manual-1", "manual", NOW, ended=NOW))
    for day, outcome in enumerate(("pass", "fail", "undecided", "fail", "error", "pass", "pass")):
        plan = told(status, report(finding(outcome, day), name=str(day)))
        status, said = plan.status, [*said, *kinds(plan)]
    assert said == ["QualityFell", "QualityBack"]
    assert status.quality == finding("pass", 6)


def test_a_new_version_that_is_no_better_falls_anew() -> None:
    fell = replace(SERVING, champion=2, quality_fell=1, decided=2)
    assert kinds(told(fell, report(finding("fail", version=2))))[0] == "QualityFell"
    assert kinds(told(fell, report(finding("pass", version=2)))) == ["QualityBack"]


def test_evidence_asks_once_however_often_it_is_judged() -> None:
    known = replace(finding("fail", 1), since=NOW - 2 * DAY)  # with labels a day late it is known since yesterday
    first = told(SERVING, report(known))
    assert first.run is not None
    assert first.run.key == "flights-quality-20260228T120000Z"
    over = replace(first.status, run=None, last_run=RunRecord(first.run.key, "quality", NOW, ended=NOW - DAY))
    assert told(over, report(known, name="again")).run is None
    assert told(over, report(replace(known, since=NOW - DAY), name="next")).run is not None


def test_falling_quality_does_not_ask_while_a_run_is_in_flight_or_just_ended() -> None:
    other = run("flights-schedule-1")
    busy = told(SERVING, report(finding("fail")), runs=(other,))
    assert busy.status.run is not None
    assert (busy.run, busy.status.run.key) == (None, other.key)
    remembered = replace(SERVING, run=RunRecord("flights-schedule-1", "schedule", NOW))
    assert told(remembered, report(finding("fail")), runs=None).run is None
    ended = replace(SERVING, last_run=RunRecord("flights-schedule-1", "schedule", NOW, ended=NOW))
    assert kinds(told(ended, report(finding("fail")))) == ["QualityFell"]


def test_a_runner_that_cannot_be_asked_is_asked_when_it_answers() -> None:
    away = told(SERVING, report(finding("fail")), runs=None)
    assert away.status.run is not None
    later = told(away.status)
    assert later.run is not None
    assert later.run.key == away.status.run.key


def test_a_finding_about_another_version_changes_nothing() -> None:
    plan = told(SERVING, report(finding("fail", version=7)))
    assert (kinds(plan), plan.status.quality, plan.status.handled) == ([], None, ("q",))


def test_a_quality_report_without_a_finding_is_ignored() -> None:
    assert kinds(told(SERVING, report(None))) == ["RequestIgnored"]


def test_a_loop_that_judges_no_quality_keeps_the_finding_and_asks_for_nothing() -> None:
    plan = told(SERVING, report(finding("fail")), of=spec())
    assert (kinds(plan), plan.status.quality, plan.run) == ([], finding("fail"), None)


# --- new data ----------------------------------------------------------------------------------------------------


def test_enough_new_data_is_said_and_asks_for_a_run() -> None:
    plan = told(SERVING, counted(1200))
    assert kinds(plan) == ["DataGrown", "RunRequested"]
    assert plan.events[0].message == (
        "1,200 labelled rows newer than the dataset of version 1; 1,000 ask for a retrain"
    )
    assert plan.events[0].figures == {"rows": 1200.0, "learned": 4000.0}
    assert plan.run is not None
    assert (plan.run.key, plan.run.cause) == ("flights-data-20260302T120000Z", "data")


def test_less_is_kept_and_asks_for_nothing() -> None:
    plan = told(SERVING, counted(999))
    assert (kinds(plan), plan.status.data) == ([], DataCount(1, NOW, 999, 4000))


def test_what_grew_during_a_cooldown_is_said_once_and_asks_after_it() -> None:
    cooling = replace(SERVING, last_run=RunRecord("flights-manual-1", "manual", NOW, ended=NOW))
    first = told(cooling, counted(1200))
    assert (kinds(first), first.run) == (["DataGrown"], None)
    second = told(first.status, counted(1300, name="later"))
    assert kinds(second) == []
    over = told(replace(second.status, last_run=None), counted(1400, name="over"))
    assert kinds(over) == ["RunRequested"]


def test_as_much_again_has_to_come_before_the_next_run() -> None:
    asked = replace(told(SERVING, counted(1200)).status, run=None)
    more = told(asked, counted(2100, name="more"))
    assert (kinds(more), more.run) == ([], None)
    enough = told(more.status, counted(2200, name="enough"))
    assert kinds(enough) == ["DataGrown", "RunRequested"]
    assert "1,000 since a run was asked for at 1,200 ask for a retrain" in enough.events[0].message


def test_a_new_champion_is_counted_from_the_beginning() -> None:
    asked = replace(told(SERVING, counted(1200)).status, run=None, champion=2, decided=2)
    plan = told(asked, counted(1100, name="of the next", version=2))
    assert plan.status.data == DataCount(2, NOW, 1100, 4000, asked=1100)


@pytest.mark.parametrize("request_", [counted(None), counted(10, version=None)])
def test_a_report_that_does_not_say_how_much_of_what_is_ignored(request_: Request) -> None:
    assert kinds(told(SERVING, request_)) == ["RequestIgnored"]


def test_a_count_that_nobody_asked_for_or_of_another_version_changes_nothing() -> None:
    for plan in (told(SERVING, counted(9999), of=spec()), told(SERVING, counted(9999, version=7))):
        assert (kinds(plan), plan.status.data, plan.status.handled) == ([], None, ("d",))


def test_how_far_labels_were_pulled_is_remembered_and_never_taken_back() -> None:
    first = told(SERVING, replace(counted(None), pulled=NOW))
    assert (kinds(first), first.status.pulled) == ([], NOW)
    second = told(first.status, replace(counted(1200, name="earlier"), pulled=NOW - DAY))
    assert (kinds(second), second.status.pulled) == (["DataGrown", "RunRequested"], NOW)


def test_a_share_is_of_what_the_champion_learned_from() -> None:
    plan = told(SERVING, counted(2000), of=SHARE)
    assert plan.events[0].message == (
        "2,000 labelled rows newer than the dataset of version 1; 0.5 of its 4,000 rows ask for a retrain"
    )
    assert told(SERVING, counted(1999), of=SHARE).run is None


def test_a_share_of_nobody_knows_what_asks_for_nothing() -> None:
    enough, sentence = enough_data(NewData(share=0.1), DataCount(3, NOW, 50, None))
    assert not enough
    assert sentence.endswith("version 3; how many rows that has is not known")
    assert not data_asks(NewData(share=0.1), DataCount(3, NOW, 50, None), None, running=False, now=NOW)


def test_new_data_waits_for_a_run_in_flight_and_says_so() -> None:
    asked = data_asks(NewData(rows=10), DataCount(3, NOW, 50, None), None, running=True, now=NOW)
    assert not asked
    assert asked.reason.endswith("10 ask for a retrain, but a run is in flight")
