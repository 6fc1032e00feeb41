from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.adapters import records_columns
from serinus.adapters.records_checks import hidden, prediction_row
from serinus.adapters.records_columns import Columns
from serinus.errors import Fatal

KEY = b"0123456789abcdef"
TEXTS = st.one_of(
    st.sampled_from(["", "a", "zero\0byte", "\\u0000", "é" * 128, "é" * 257, "x" * 512, "x" * 513]), st.text()
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -0.0, 0.5, 1.0000001, 1e70, 1.1e70, 1e308, math.nan, math.inf, 10**400]), st.floats(0, 1)
)
VALUES = st.one_of(st.none(), st.booleans(), TEXTS, NUMBERS, st.just([1]))


@st.composite
def batches(draw: st.DrawFn) -> Columns:
    """Mostly of rows that are all good, some with one that is not, some with anything."""
    count = draw(st.integers(0, 4))
    good = draw(st.booleans())

    def column(kind: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(kind, min_size=count, max_size=count))

    names = draw(st.lists(TEXTS, unique=True, max_size=3))
    ids = st.text("abé", min_size=1, max_size=9) if good else TEXTS
    answers = draw(st.sampled_from([st.just(""), st.sampled_from(["yes", "né"])])) if good else TEXTS
    values = st.one_of(st.floats(), st.integers(-9, 9), st.booleans(), st.sampled_from(["a", "☃"])) if good else VALUES
    return Columns(
        version=draw(st.sampled_from([0, 7] if good else [1, -1, 2**31])),
        names=names,
        ids=column(ids),
        times=column(st.integers(0, 2**51)),
        scores=column(st.floats(0, 1) if good else NUMBERS),
        answers=column(answers),
        keys=column(ids if good else TEXTS),
        values=[column(values) for _ in names],
    )


@given(batches(), st.sampled_from([(), ("a",)]))
def test_asked_by_columns_the_answers_are_those_of_every_row_by_itself(given: Columns, hash: tuple[str, ...]) -> None:
    rows, invalid = records_columns.rows(given, "team", "parcels", KEY, hash)
    each = [(p.id, prediction_row(p, "team", "parcels", hidden(KEY, hash))) for p in given.predictions()]
    assert len(each) == len(given.ids)
    assert rows == [row for _, row in each if not isinstance(row, str)]
    assert invalid == [(id, problem) for id, problem in each if isinstance(problem, str)]


def test_what_predictors_send_is_never_asked_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_columns, "prediction_row", None)  # as it costs three times as much
    given = Columns(
        7,
        ["weight", "shop"],
        ["a/0", "a/1"],
        [1, 2],
        [0.5, 1],
        ["ja", "für später"],
        ["", "order-7"],
        [[1.5, None], ["Zürich", "Bern"]],
    )
    rows, _ = records_columns.rows(given, "team", "parcels", KEY, ["shop"])
    assert [row["id"] for row in rows] == ["a/0", "a/1"]


def test_without_a_key_nothing_is_hashed() -> None:
    with pytest.raises(Fatal, match="expected a key"):
        records_columns.rows(Columns(1, [], [], [], [], [], [], []), "team", "parcels", b"", ["shop"])
