"""From a pace to what cron can say."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from serinus.render import jobs
from tests.unit.loop_cases import NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("every", "looks"),
    [
        (timedelta(seconds=10), MINUTE),
        (MINUTE, MINUTE),
        (7 * MINUTE, 6 * MINUTE),
        (45 * MINUTE, 30 * MINUTE),
        (HOUR, HOUR),
        (90 * MINUTE, HOUR),
        (5 * HOUR, 4 * HOUR),
        (23 * HOUR, 12 * HOUR),
        (DAY, DAY),
        (30 * DAY, DAY),
    ],
)
def test_a_pace_becomes_the_next_quicker_one_that_cron_can_say(every: timedelta, looks: timedelta) -> None:
    assert gaps(jobs.schedule(every, "team/flights")) == {looks}


@given(st.integers(1, 60 * 24 * 40), st.text())
def test_a_job_looks_at_least_as_often_as_asked(minutes: int, key: str) -> None:
    assert max(gaps(jobs.schedule(minutes * MINUTE, key))) <= max(minutes * MINUTE, MINUTE)


def test_jobs_of_many_loops_do_not_begin_at_once() -> None:
    assert len({jobs.schedule(HOUR, f"team/loop-{n}") for n in range(200)}) > 30


def gaps(schedule: str) -> set[timedelta]:
    """Between the slots of two days and some."""
    slots = croniter(schedule, NOW, ret_type=datetime)
    found: list[datetime] = [slots.get_next()]
    while found[-1] < NOW + 2 * DAY + HOUR:
        found.append(slots.get_next())
    return {later - earlier for earlier, later in pairwise(found)}
