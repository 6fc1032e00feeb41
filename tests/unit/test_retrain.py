"""When a retrain is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from serinus.decide.retrain import drift_asks, schedule_due
from serinus.errors import SpecError
from serinus.facts import DriftFinding, Outcome, Verdict, Window
from serinus.spec import DriftSpec

NOW = datetime(2026, 3, 2, 12, 0, 1, tzinfo=UTC)
SPEC = DriftSpec()  # every hour, 2 of 5, cooldown 6 h
OUTCOMES: dict[str, Outcome] = {"F": "fail", "p": "pass", "u": "undecided", "e": "error"}


def windows(text: str, apart: timedelta = SPEC.every) -> list[DriftFinding]:
    """Findings, oldest first, as letters: F in violation, p not, u undecided, e could not look."""
    ends = [NOW - apart * back for back in reversed(range(len(text)))]
    return [
        DriftFinding(3, Window(end - SPEC.window, end), 900, Verdict("drift", OUTCOMES[letter], "why"))
        for letter, end in zip(text, ends, strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("", False),
        ("F", False),
        ("FF", True),
        ("FpF", True),
        ("FpppF", True),
        ("FppppF", False),  # the first is the sixth last
        ("FFp", False),  # the latest is not in violation
        ("FFFFFp", False),
        ("FuuuuuF", True),  # what was not decided is no window
        ("FeeeeeF", True),
        ("FuppppF", False),
        ("uF", False),
        ("FFu", False),  # a look that saw nothing does not ask
        ("FFe", False),
    ],
)
def test_two_of_the_last_five_windows_and_the_latest_ask(text: str, asked: bool) -> None:
    assert bool(drift_asks(SPEC, windows(text), None, running=False, now=NOW)) is asked


def test_the_reason_says_how_many_windows_were_in_violation() -> None:
    asked = drift_asks(SPEC, windows("ppFpF"), None, running=False, now=NOW)
    assert asked.reason == "2 of the last 5 windows in violation, the latest among them"
    waits = drift_asks(SPEC, windows("pF"), None, running=False, now=NOW)
    assert waits.reason == "1 of the last 2 windows in violation, the latest among them; 2 of 5 ask for a retrain"


def test_a_latest_window_without_violation_is_named_as_the_reason() -> None:
    assert drift_asks(SPEC, windows("FFe"), None, running=False, now=NOW).reason == (
        "the latest window is not in violation (error)"
    )
    assert drift_asks(SPEC, [], None, running=False, now=NOW).reason == "there is no window to go by"


def test_no_second_run_is_asked_for_while_one_is_in_flight() -> None:
    ask = drift_asks(SPEC, windows("FF"), None, running=True, now=NOW)
    assert not ask
    assert ask.reason.endswith("but a run is in flight")


def test_the_cooldown_counts_from_the_end_of_the_last_run() -> None:
    ended = NOW - SPEC.cooldown
    assert drift_asks(SPEC, windows("FF"), ended, running=False, now=NOW)
    waits = drift_asks(SPEC, windows("FF"), ended + timedelta(seconds=1), running=False, now=NOW)
    assert not waits
    assert waits.reason.endswith("lasts until 2026-03-02 12:00:02 UTC")


def test_looks_repeated_at_once_are_one_window() -> None:
    assert not drift_asks(SPEC, windows("FFFF", timedelta(minutes=5)), None, running=False, now=NOW)
    assert drift_asks(SPEC, windows("FF", SPEC.every / 2), None, running=False, now=NOW)


@given(st.text("Fpue", max_size=12))
def test_one_more_violation_at_the_end_never_takes_an_ask_away(text: str) -> None:
    before = drift_asks(SPEC, windows(text), None, running=False, now=NOW)
    after = drift_asks(SPEC, windows(text + "F"), None, running=False, now=NOW)
    assert bool(after) >= bool(before)


@given(st.text("Fp", max_size=12), st.text("ue", max_size=4), st.integers(0, 12))
def test_undecided_windows_before_the_latest_change_nothing(text: str, undecided: str, at: int) -> None:
    at = min(at, max(len(text) - 1, 0))
    mixed = text[:at] + undecided + text[at:] if text else undecided
    plain = drift_asks(SPEC, windows(text), None, running=False, now=NOW)
    assert bool(drift_asks(SPEC, windows(mixed), None, running=False, now=NOW)) is bool(plain)


MONDAY = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


def test_without_a_schedule_nothing_is_due() -> None:
    assert schedule_due(None, MONDAY - timedelta(days=30), NOW) is None


def test_the_first_look_does_not_make_up_for_slots_before_it() -> None:
    assert schedule_due("0 4 * * 1", None, NOW) is None


def test_a_slot_is_due_from_its_very_moment_and_once() -> None:
    before = MONDAY - timedelta(seconds=1)
    assert schedule_due("0 4 * * 1", before, before) is None
    assert schedule_due("0 4 * * 1", before, MONDAY) == MONDAY
    assert schedule_due("0 4 * * 1", before, MONDAY + timedelta(microseconds=999_999)) == MONDAY
    assert schedule_due("0 4 * * 1", MONDAY, MONDAY + timedelta(days=6)) is None


def test_missed_slots_are_one_the_latest() -> None:
    assert schedule_due("0 4 * * 1", MONDAY - timedelta(weeks=5), NOW) == MONDAY


def test_the_schedule_is_in_utc_whatever_the_zone_of_now() -> None:
    from zoneinfo import ZoneInfo

    there = MONDAY.astimezone(ZoneInfo("Asia/Tokyo"))
    assert schedule_due("0 4 * * 1", MONDAY - timedelta(hours=1), there) == MONDAY


def test_a_schedule_that_no_date_satisfies_is_never_due() -> None:
    assert schedule_due("0 0 30 2 *", MONDAY - timedelta(days=400), NOW) is None


@pytest.mark.parametrize("text", ["", "soon", "* * * *", "61 * * * *"])
def test_a_schedule_that_is_no_cron_expression_is_refused_with_its_key(text: str) -> None:
    with pytest.raises(SpecError, match=r"spec\.training\.schedule: expected a cron expression"):
        schedule_due(text, MONDAY, NOW)


TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


@given(st.sampled_from(["0 4 * * 1", "*/7 * * * *", "30 2 1 * *", "@hourly"]), TIMES, TIMES)
def test_what_is_due_is_the_latest_slot_after_the_last_one_and_not_after_now(
    schedule: str, last: datetime, now: datetime
) -> None:
    slot = schedule_due(schedule, last, now)
    following: datetime = croniter(schedule, last, ret_type=datetime).get_next()
    if slot is None:
        assert following > now
    else:
        assert last < slot <= now
        assert croniter.match(schedule, slot)
        assert croniter(schedule, slot, ret_type=datetime).get_next() > now
