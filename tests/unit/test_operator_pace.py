from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from serinus.facts import Plan, Routing, RunRecord, Status, Variant, Watch
from services.driver import Looked
from services.operator import pace
from tests.unit.loop_cases import NOW, SECOND, SERVING, SPEC, canary, routing, spec, world

MINUTE = timedelta(minutes=1)
SCRAPE = timedelta(seconds=30)
EVERYONE = Routing((Variant(1, 100),))


def looked(status: Status, *, wanted: Routing | None = EVERYONE, seen: object = None) -> Looked:
    there = seen if seen is not None else routing((1, 100))
    return Looked(world(routing=there), Plan(status, wanted))


def wait(look: Looked, failures: int = 0, scrape: timedelta = SCRAPE) -> timedelta:
    return pace.after(SPEC, look, NOW, scrape, failures)


def test_a_loop_at_rest_is_looked_at_every_five_minutes() -> None:
    assert wait(looked(SERVING)) == 5 * MINUTE


def test_a_rollout_a_run_and_a_version_that_gets_ready_are_looked_at_every_two_seconds() -> None:
    rolling = replace(SERVING, rollout=canary())
    running = replace(SERVING, run=RunRecord("flights-manual-1", "manual", NOW))
    assert wait(looked(rolling)) == 2 * SECOND
    assert wait(looked(running)) == 2 * SECOND
    assert wait(looked(SERVING, seen=routing((1, 100), unready=(1,)))) == 2 * SECOND
    assert wait(looked(SERVING, seen=routing((1, 90), (2, 10)))) == 2 * SECOND


def test_a_loop_without_a_version_rests() -> None:
    assert wait(looked(Status("flights"), wanted=None)) == 5 * MINUTE


def test_a_watch_is_looked_at_as_often_as_its_counters_change_and_at_its_end() -> None:
    watched = replace(SERVING, watch=Watch(1, NOW + 10 * MINUTE, NOW))
    assert wait(looked(watched)) == SCRAPE / 2
    assert wait(looked(watched), scrape=SECOND) == 2 * SECOND
    ending = replace(SERVING, watch=Watch(1, NOW + 5 * SECOND, NOW))
    assert wait(looked(ending)) == 5 * SECOND


def test_a_schedule_is_looked_at_when_it_is_due() -> None:
    hourly = spec(training="schedule: '2 * * * *'")
    assert pace.after(hourly, looked(SERVING), NOW, SCRAPE, 0) == 2 * MINUTE
    yearly = spec(training="schedule: '0 0 1 1 *'")
    assert pace.after(yearly, looked(SERVING), NOW, SCRAPE, 0) == 5 * MINUTE
    never = spec(training="schedule: '0 0 30 2 *'")
    assert pace.after(never, looked(SERVING), NOW, SCRAPE, 0) == 5 * MINUTE


def test_failures_back_off_to_a_minute_and_in_mid_rollout_to_a_quarter_of_it() -> None:
    assert [wait(looked(SERVING), n).total_seconds() for n in (1, 2, 3, 4, 5, 6, 99)] == [2, 4, 8, 16, 32, 60, 60]
    assert wait(looked(replace(SERVING, rollout=canary())), 99) == 15 * SECOND


@given(st.text(min_size=1))
def test_looks_are_spread_by_a_tenth_at_most_and_always_alike(key: str) -> None:
    assert 0.9 * pace.STEADY <= pace.spread(pace.STEADY, key) <= pace.STEADY
    assert pace.spread(pace.STEADY, key) == pace.spread(pace.STEADY, key)


def test_looks_of_many_loops_are_spread() -> None:
    waits = {round(pace.spread(pace.STEADY, f"loop-{n}").total_seconds()) for n in range(200)}
    assert len(waits) > 25
