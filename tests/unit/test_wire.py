from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus import wire
from serinus.errors import Fatal
from serinus.facts import Contract, Evidence, Request, RolloutRecord, RunState, Status, Version, Window

NOW = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(float, st.floats(allow_nan=False))
# No lone surrogates: they are not text in any encoding.
st.register_type_strategy(str, st.text(st.characters(codec="utf-8"), max_size=20))


@settings(max_examples=60, deadline=None)
@given(st.from_type(Status))
def test_a_status_comes_back_as_it_was(status: Status) -> None:
    data = wire.dump(status)
    assert wire.load(Status, data) == status
    assert wire.dump(wire.load(Status, data)) == data


@settings(max_examples=30, deadline=None)
@given(st.one_of(st.from_type(Version), st.from_type(Request), st.from_type(RolloutRecord), st.from_type(RunState)))
def test_what_travels_between_processes_comes_back_as_it_was(
    value: Version | Request | RolloutRecord | RunState,
) -> None:
    assert wire.load(type(value), wire.dump(value)) == value


@settings(max_examples=30, deadline=None)
@given(st.builds(Contract, params=st.dictionaries(st.text("abc"), st.integers() | st.booleans() | st.none())))
def test_a_contract_with_its_free_parameters_comes_back_as_it_was(contract: Contract) -> None:
    assert wire.load(Contract, wire.dump(contract)) == contract


def test_the_bytes_do_not_depend_on_the_order_of_mappings_and_sets() -> None:
    one = Version("a", 1, "t", NOW, aliases=frozenset({"x", "challenger", "b"}), metrics={"b": 1.0, "a": 2.0})
    two = Version("a", 1, "t", NOW, aliases=frozenset({"b", "x", "challenger"}), metrics={"a": 2.0, "b": 1.0})
    assert wire.dump(one) == wire.dump(two)
    assert wire.dump(one) == (
        b'{"aliases":["b","challenger","x"],"created":"2026-01-02T03:04:05.000600+00:00","dataset":"","digest":"",'
        b'"loop":"a","metrics":{"a":2.0,"b":1.0},"number":1,"trigger":"t"}'
    )


def test_the_same_moment_in_another_timezone_is_written_the_same() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert wire.dump(Window(tokyo, tokyo)) == wire.dump(Window(NOW, NOW))


def test_numbers_that_json_does_not_know_survive() -> None:
    back = wire.load(Evidence, wire.dump(Evidence(log_harm=(-math.inf, math.nan), peak_harm=math.inf)))
    assert back.log_harm[0] == -math.inf
    assert math.isnan(back.log_harm[1])
    assert back.peak_harm == math.inf


def test_a_newer_programs_extra_key_is_left_out() -> None:
    assert wire.load(Status, b'{"loop":"a","invented":1}') == Status("a")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "EOF"),
        (b"\x00\xff", "Invalid JSON"),
        (b'{"loop":"a"', "EOF"),
        (b"[]", "expected Status"),
        (b"{}", "loop: Field required"),
        (b'{"loop":1}', "loop: Input should be a valid string"),
        (b'{"loop":"a","champion":"1"}', "champion: Input should be a valid integer"),
        (b'{"loop":"a","run":{"key":"k","cause":"whim","requested":"2026-01-02T03:04:05Z"}}', "run.cause"),
    ],
)
def test_garbage_is_an_error_that_names_the_place(data: bytes, words: str) -> None:
    with pytest.raises(Fatal, match="expected Status as JSON") as caught:
        wire.load(Status, data)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Window(datetime(2026, 1, 1), NOW), "value.start: expected a datetime with a timezone"),
        ({"a": [b"bytes"]}, r"value.a\[0\]: expected a dataclass"),
        ({1: 2}, "expected text as key"),
        (Status, "expected a dataclass"),
    ],
)
def test_what_cannot_be_written_is_said_with_its_place(value: object, words: str) -> None:
    with pytest.raises(Fatal, match=words):
        wire.dump(value)
