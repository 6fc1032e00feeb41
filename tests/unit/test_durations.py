"""Durations as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from serinus import durations
from serinus.durations import Duration, PositiveDuration

MILLISECOND = timedelta(milliseconds=1)
lengths = st.integers(0, durations.LONGEST // MILLISECOND).map(lambda n: n * MILLISECOND)


@given(lengths)
def test_what_is_rendered_is_read_back(length: timedelta) -> None:
    assert durations.parse(durations.render(length)) == length


@given(lengths)
def test_what_is_rendered_fits_the_pattern_of_the_schema(length: timedelta) -> None:
    text = durations.render(length)
    assert len(text) >= 2
    assert re.search(durations.PATTERN, text)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("0s", timedelta()),
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("60d", timedelta(days=60)),
        ("2w", timedelta(weeks=2)),
        ("1w2d3h4m5s6ms", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5, milliseconds=6)),
        (timedelta(seconds=3), timedelta(seconds=3)),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: object, length: timedelta) -> None:
    assert durations.parse(text) == length


@pytest.mark.parametrize(
    "text", ["", "1", "1 h", "h", "1.5h", "-1h", "1m1h", "1h1h", "10m\n", "1H", "1y", 5, None, True]
)
def test_what_is_no_duration_is_told_how_one_is_written(text: object) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"expected a duration such as 250ms, 10m, 1h30m or 60d, got {text!r}")
    ):
        durations.parse(text)


@pytest.mark.parametrize("text", ["36501d", "99999999999999999w", "9" * 5000 + "s"])
def test_a_duration_that_no_calendar_holds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a duration of at most 36500d, got '[39]"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(days=365), "365d"),
        (timedelta(days=7), "7d"),
        (timedelta(hours=36), "1d12h"),
        (timedelta(milliseconds=1500), "1s500ms"),
        (timedelta(), "0s"),
    ],
)
def test_durations_are_written_in_days_and_smaller_units(length: timedelta, text: str) -> None:
    assert durations.render(length) == text


def test_a_field_reads_and_writes_text() -> None:
    adapter = TypeAdapter[timedelta](Duration)
    assert adapter.dump_json(adapter.validate_python("90m")) == b'"1h30m"'
    assert adapter.json_schema() == {"type": "string", "pattern": durations.PATTERN, "minLength": 2}


def test_a_positive_duration_is_longer_than_nothing() -> None:
    adapter = TypeAdapter[timedelta](PositiveDuration)
    assert adapter.validate_python("1ms") == MILLISECOND
    with pytest.raises(ValidationError, match="expected a duration longer than nothing, got '0s'"):
        adapter.validate_python("0s")
