"""The business key that callers may send beside the features."""

from __future__ import annotations

from typing import Any

import pytest

from services.predictor.columns import Refused
from services.predictor.inputs import inputs, read
from tests.unit.test_predictor_inputs import GOOD, contract, v1, v2

KEYED = inputs(contract(), accept_unseen=False, max_rows=100, key="order")


def tensor(**changed: Any) -> dict[str, object]:
    """A good V2 body of two rows with keys."""
    body = v2(2)
    keys = {"name": "order", "shape": [2], "datatype": "BYTES", "data": ["a-1", "a-2"], **changed}
    return {"inputs": [*body["inputs"], keys]}  # type: ignore[misc]


def test_keys_are_taken_out_before_the_checks_and_rows_without_one_have_none() -> None:
    plain = read(KEYED, "v1", v1(GOOD, GOOD, GOOD, GOOD))
    rows = read(KEYED, "v1", v1({**GOOD, "order": "a-1"}, {**GOOD, "order": 17}, {**GOOD, "order": None}, GOOD))
    assert (rows.rows, rows.bins) == (plain.rows, plain.bins)
    assert (rows.keys, plain.keys) == (("a-1", "17", "", ""), ("", "", "", ""))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("a-1", "a-2")),
        ({"datatype": "INT64", "data": [1, 2]}, ("1", "2")),
        ({"shape": [2, 1], "data": [["a"], [None]]}, ("a", "")),
    ],
)
def test_v2_sends_them_as_a_tensor(changed: dict[str, object], expected: tuple[str, ...]) -> None:
    rows = read(KEYED, "v2", tensor(**changed))
    assert (rows.keys, rows.rows) == (expected, read(KEYED, "v2", v2(2)).rows)


def test_v2_may_leave_them_out() -> None:
    assert read(KEYED, "v2", v2(2)).keys == ()


def test_a_feature_may_be_the_key_as_well_and_then_the_model_sees_it() -> None:
    checks = inputs(contract(), accept_unseen=False, max_rows=100, key="shop")
    for body, protocol in ((v1(GOOD, {**GOOD, "shop": None}), "v1"), (v2(2, shop={"data": ["north", None]}), "v2")):
        rows = read(checks, protocol, body)  # type: ignore[arg-type]
        assert rows.keys == ("north", "")
        assert [row["shop"] for row in rows.rows] == ["north", None]


@pytest.mark.parametrize(
    ("protocol", "body", "text"),
    [
        ("v1", v1(GOOD, {**GOOD, "order": 1.5}), "instances[1].order: expected a string of at most 200 printable"),
        ("v1", v1({**GOOD, "order": True}), "instances[0].order: expected a string of at most 200 printable"),
        ("v1", v1({**GOOD, "order": "x" * 201}), "instances[0].order: expected a string of at most 200 printable"),
        ("v1", v1({**GOOD, "order": "a\nb"}), "instances[0].order: expected a string of at most 200 printable"),
        ("v2", tensor(data=["a", ["b"]]), "inputs[order].data[1]: expected a string of at most 200 printable"),
        ("v2", tensor(datatype="FP64"), "inputs[order].datatype: expected BYTES, INT16"),
        ("v2", tensor(shape=[3], data=["a", "b", "c"]), "inputs[order].shape: expected 2 rows as in the features"),
        ("v2", tensor(shape=[3]), "inputs[order].data: expected 3 values as the shape says, got 2"),
    ],
)
def test_a_key_that_is_none_is_refused_by_its_name(protocol: Any, body: object, text: str) -> None:
    with pytest.raises(Refused) as caught:
        read(KEYED, protocol, body)
    assert (caught.value.field, caught.value.bin) == ("order", "")
    assert str(caught.value).startswith(text)


def test_rows_that_are_no_objects_are_still_said_to_be_none() -> None:
    with pytest.raises(Refused, match=r"instances\[0\]: expected an object, got a list"):
        read(KEYED, "v1", v1([1]))


def test_without_a_key_of_its_own_a_loop_refuses_one_as_any_other_column() -> None:
    with pytest.raises(Refused, match="order: expected only the model's features"):
        read(inputs(contract(), accept_unseen=False, max_rows=100), "v1", v1({**GOOD, "order": "a"}))
