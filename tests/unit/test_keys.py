"""The key of a trigger."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.decide.keys import cause, run_key

NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
CAUSES = st.sampled_from(["initial", "schedule", "drift", "manual"])
TIMES = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2999, 1, 1), timezones=st.just(UTC))


def test_the_key_is_loop_cause_and_end_of_window() -> None:
    assert run_key("flight-delay", "drift", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == (
        "flight-delay-drift-20260102T030405Z"
    )


@pytest.mark.parametrize("why", ["initial", "schedule", "drift", "quality", "data", "manual"])
def test_a_key_says_why_the_run_was_made(why: str) -> None:
    key = run_key("flight-delay", why, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))  # type: ignore[arg-type]
    assert cause("flight-delay", key) == why


def test_a_key_that_a_person_made_up_is_manual() -> None:
    assert cause("flight-delay", "flight-delay-again-1") == "manual"
    assert cause("flight-delay", "benchmark") == "manual"


def test_the_same_instant_in_another_zone_is_the_same_key() -> None:
    utc = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    there = utc.astimezone(timezone(timedelta(hours=9)))
    assert run_key("a", "manual", there) == run_key("a", "manual", utc)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        run_key("a", "drift", datetime(2026, 1, 2))


@given(NAMES, CAUSES, TIMES)
def test_a_key_has_only_characters_that_every_system_takes(loop: str, cause: str, end: datetime) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]+", run_key(loop, cause, end))  # type: ignore[arg-type]


@given(NAMES, CAUSES, TIMES, TIMES)
def test_keys_differ_exactly_when_the_ends_differ_by_the_second(
    loop: str, cause: str, one: datetime, other: datetime
) -> None:
    same = one.replace(microsecond=0) == other.replace(microsecond=0)
    assert (run_key(loop, cause, one) == run_key(loop, cause, other)) is same  # type: ignore[arg-type]
