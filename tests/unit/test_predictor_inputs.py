from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.facts import Bins, Contract, Dataset, Field, Profile, Window
from serinus.stats.bins import place
from services.predictor.columns import LARGEST, Refused
from services.predictor.inputs import Inputs, Protocol, Rows, inputs, read

WEIGHT = Bins("weight", "numeric", edges=(0.0, 1.5, 4.0))
PRICE = Bins("price", "numeric", edges=(10.0,))
SHOP = Bins("shop", "categorical", categories=("café", "north", "south"))
FLOOR = Bins("floor", "categorical", categories=("-1", "0", "12"))
GIFT = Bins("gift", "numeric", edges=(0.0,))
GOOD: dict[str, object] = {"weight": 2.5, "price": 20, "shop": "north", "floor": "12", "gift": True}


def contract() -> Contract:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    nullable = {"weight", "shop"}
    bins = (WEIGHT, PRICE, SHOP, FLOOR, GIFT)
    return Contract(
        loop="parcels",
        task="regression",
        fields=tuple(Field(b.name, b.kind, b.name in nullable) for b in bins),
        label="y",
        classes=(),
        positive=None,
        profile=Profile(1, bins, Bins("score", "numeric", edges=(0.5,))),
        dataset=Dataset("v", "made up", Window(now, now), 1, {"gift": "bool"}),
        examples=(),
        expected=(),
        estimator="hist-gradient-boosting",
        params={},
        seed=0,
        trust=(),
    )


CHECKS = inputs(contract(), accept_unseen=False, max_rows=100)


def v1(*rows: object) -> dict[str, object]:
    return {"instances": list(rows)}


def v2(rows: int = 1, **changed: object) -> dict[str, object]:
    """A good V2 body; `weight={...}` replaces parts of a tensor, `weight=None` takes it out, others are top keys."""
    kinds = {"weight": "FP64", "price": "INT32", "shop": "BYTES", "floor": "INT64", "gift": "BOOL"}
    values = {**GOOD, "floor": 12}
    tensors: list[dict[str, Any]] = []
    for name, datatype in kinds.items():
        tensor = {"name": name, "shape": [rows], "datatype": datatype, "data": [values[name]] * rows}
        change = changed.pop(name, {})
        if isinstance(change, dict):
            tensors.append({**tensor, **change})
    return {"inputs": tensors, **changed}


def refused(protocol: Protocol, body: object, checks: Inputs = CHECKS) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        read(checks, protocol, body)
    return caught.value.field, str(caught.value)


def test_rows_come_out_as_the_model_takes_them_with_the_bin_of_every_value() -> None:
    second = {"weight": None, "price": -3, "shop": None, "floor": 0, "gift": False}
    assert read(CHECKS, "v1", v1(GOOD, second)) == Rows(
        rows=(
            {"weight": 2.5, "price": 20.0, "shop": "north", "floor": "12", "gift": 1.0},
            {"weight": None, "price": -3.0, "shop": None, "floor": "0", "gift": 0.0},
        ),
        bins=([2, 4], [1, 0], [1, 3], [2, 1], [1, 0]),
    )


def test_v2_says_the_same_as_v1() -> None:
    body = v2(2, weight={"shape": [2, 1], "data": [[2.5], [None]]}, shop={"data": ["north", None]}, id="a-1")
    expected = read(CHECKS, "v1", v1(GOOD, {**GOOD, "weight": None, "shop": None}))
    assert read(CHECKS, "v2", body) == Rows(expected.rows, expected.bins, id="a-1")


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ([], "", "expected a JSON object with the key 'instances', got an empty list"),
        ("hi", "", "expected a JSON object with the key 'instances', got the string 'hi'"),
        ({}, "instances", "instances: expected a list of objects, got nothing"),
        ({"instances": None}, "instances", "instances: expected a list of objects, got null"),
        ({"instances": {}}, "instances", "instances: expected a list of objects, got an object"),
        ({"instances": []}, "instances", "instances: expected at least one row, got an empty list"),
        ({"rows": []}, "rows", "rows: expected nothing beside instances; take it out"),
        (v1(GOOD, 7), "instances", "instances[1]: expected an object, got the number 7"),
        (v1([1, 2]), "instances", "instances[0]: expected an object, got a list"),
        (
            v1({**GOOD, "color": "red"}),
            "color",
            "instances[0].color: expected only the model's features (weight, price, shop, floor, gift); take it out",
        ),
        (
            v1(GOOD, {k: v for k, v in GOOD.items() if k != "price"}),
            "price",
            "instances[1].price: expected a number between -3.403e+38 and 3.403e+38, the field is missing",
        ),
        (
            v1({**GOOD, "price": "20"}),
            "price",
            "instances[0].price: expected a number between -3.403e+38 and 3.403e+38, got the string '20'",
        ),
        (
            v1({**GOOD, "price": 1e308}),
            "price",
            "instances[0].price: expected a number between -3.403e+38 and 3.403e+38, got the number 1e+308",
        ),
        (
            v1({**GOOD, "price": True}),
            "price",
            "instances[0].price: expected a number between -3.403e+38 and 3.403e+38, got true",
        ),
        (
            v1({**GOOD, "price": None}),
            "price",
            "instances[0].price: expected a number between -3.403e+38 and 3.403e+38, got null,"
            " which training never saw here",
        ),
        (
            v1({**GOOD, "shop": "x" * 100}),
            "shop",
            "instances[0].shop: expected a category that training saw (café, north, south), got the string"
            f" '{'x' * 40}...'",
        ),
        (v1({**GOOD, "shop": 3}), "shop", "instances[0].shop: expected a string, got the number 3"),
        (v1({**GOOD, "shop": False}), "shop", "instances[0].shop: expected a string, got false"),
        (v1({**GOOD, "floor": 1.5}), "floor", "instances[0].floor: expected a string, got the number 1.5"),
        (
            v1({**GOOD, "floor": 7}),
            "floor",
            "instances[0].floor: expected a category that training saw (-1, 0, 12), got the number 7",
        ),
        (v1(*[GOOD] * 101), "instances", "instances: expected at most 100 rows, got 101; send them in parts"),
    ],
)
def test_a_bad_v1_body_is_refused_with_its_field_and_place(body: object, field: str, text: str) -> None:
    assert refused("v1", body) == (field, text)


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ([], "", "expected a JSON object with the key 'inputs', got an empty list"),
        ({}, "inputs", "inputs: expected a list with one tensor for each feature, got nothing"),
        ({"inputs": 3}, "inputs", "inputs: expected a list with one tensor for each feature, got the number 3"),
        ({"inputs": []}, "inputs", "inputs: expected a list with one tensor for each feature, got an empty list"),
        ({"inputs": [[]]}, "inputs", "inputs[0]: expected an object, got an empty list"),
        ({"inputs": [{}]}, "inputs", "inputs[0].name: expected the name of a feature, got null"),
        (v2(extra=1), "extra", "extra: expected nothing beside id, inputs, outputs, parameters; take it out"),
        (
            v2(weight={"name": "mass"}),
            "mass",
            "inputs[0].mass: expected only the model's features (weight, price, shop, floor, gift); take it out",
        ),
        (v2(weight={"name": "price"}), "price", "inputs[1]: expected each feature once, got 'price' again"),
        (v2(shop=None), "shop", "inputs: expected a tensor 'shop' with a string, it is missing"),
        (
            v2(weight={"datatype": "BYTES"}),
            "weight",
            "inputs[weight].datatype: expected FP16, FP32, FP64, INT16, INT32, INT64, INT8, UINT16, UINT32, UINT64,"
            " UINT8; got the string 'BYTES'",
        ),
        (
            v2(shop={"datatype": "FP64"}),
            "shop",
            "inputs[shop].datatype: expected BYTES; got the string 'FP64'",
        ),
        (v2(shop={"datatype": None}), "shop", "inputs[shop].datatype: expected BYTES; got null"),
        (v2(price={"shape": None}), "price", "inputs[price].shape: expected [rows] or [rows, 1], got null"),
        (v2(price={"shape": []}), "price", "inputs[price].shape: expected [rows] or [rows, 1], got an empty list"),
        (v2(price={"shape": [1, 2]}), "price", "inputs[price].shape: expected [rows] or [rows, 1], got [1, 2]"),
        (v2(price={"shape": [True]}), "price", "inputs[price].shape: expected [rows] or [rows, 1], got [True]"),
        (v2(price={"shape": [2]}), "price", "inputs[price].data: expected 2 values as the shape says, got 1"),
        (v2(price={"data": 5}), "price", "inputs[price].data: expected a list, got the number 5"),
        (v2(price={"data": [1.5]}), "price", "inputs[price].data[0]: expected INT32, got the number 1.5"),
        (
            v2(price={"datatype": "UINT8", "data": [-1]}),
            "price",
            "inputs[price].data[0]: expected UINT8, got the number -1",
        ),
        (
            v2(weight={"shape": [1, 1], "data": [[1, 2]]}),
            "weight",
            "inputs[weight].data[0]: expected a number between -3.403e+38 and 3.403e+38, got a list",
        ),
        (
            v2(2, price={"shape": [3], "data": [1, 2, 3]}),
            "price",
            "inputs[price].shape: expected 2 rows as in 'weight', got 3",
        ),
        (v2(0), "inputs", "inputs[weight].data: expected at least one row, got an empty list"),
        (
            v2(weight={"color": 1}),
            "weight",
            "inputs[weight].color: expected only name, shape, datatype, parameters and data",
        ),
        (
            v2(id="with space"),
            "id",
            "id: expected 1 to 128 printable ASCII characters without spaces, got the string 'with space'",
        ),
        (v2(id=7), "id", "id: expected 1 to 128 printable ASCII characters without spaces, got the number 7"),
        (v2(outputs="all"), "outputs", "outputs: expected a list of objects with a name, got the string 'all'"),
    ],
)
def test_a_bad_v2_body_is_refused_with_its_field_and_place(body: object, field: str, text: str) -> None:
    assert refused("v2", body) == (field, text)


@pytest.mark.parametrize(
    ("rows", "bin", "count"),
    [
        ([{**GOOD, "shop": "east"}, {**GOOD, "shop": None}, {**GOOD, "shop": "west"}, GOOD], "unseen", 2),
        ([{**GOOD, "price": None}, GOOD, {**GOOD, "price": None}], "missing", 2),
        ([{k: v for k, v in GOOD.items() if k != "shop"}, GOOD], "missing", 1),
        ([{**GOOD, "price": "much"}], "", 0),
    ],
)
def test_a_refusal_says_how_many_rows_of_the_culprit_were_missing_or_unseen(
    rows: list[object], bin: str, count: int
) -> None:
    with pytest.raises(Refused) as caught:
        read(CHECKS, "v1", {"instances": rows})
    assert (caught.value.bin, caught.value.rows) == (bin, count)


def test_an_unseen_category_passes_when_it_is_accepted() -> None:
    rows = read(inputs(contract(), accept_unseen=True, max_rows=1), "v1", v1({**GOOD, "shop": "east"}))
    assert (rows.rows[0]["shop"], rows.bins[2]) == ("east", [SHOP.labels().index("unseen")])


@given(
    st.lists(
        st.tuples(
            st.none()
            | st.floats(-LARGEST, LARGEST, allow_nan=False)
            | st.integers(-5, 5)
            | st.sampled_from(WEIGHT.edges),
            st.none() | st.sampled_from(SHOP.categories) | st.text(max_size=3),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_values_fall_into_the_bins_that_training_and_the_drift_job_would_put_them_in(
    values: list[tuple[float | None, str | None]],
) -> None:
    checks = inputs(contract(), accept_unseen=True, max_rows=100)
    rows = read(checks, "v1", v1(*({**GOOD, "weight": w, "shop": s} for w, s in values)))
    weights = np.array([np.nan if w is None else w for w, _ in values], dtype=np.float64)
    assert list(rows.bins[0]) == place(WEIGHT, weights).tolist()
    assert list(rows.bins[2]) == place(SHOP, [s for _, s in values]).tolist()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["instances", "inputs", "name", "data", "shape", "datatype", *GOOD]), inner)
    ),
    max_leaves=20,
)


@given(JSON, st.sampled_from(["v1", "v2"]))
def test_no_json_at_all_makes_it_fail_in_another_way_than_refusing(body: object, protocol: Protocol) -> None:
    with suppress(Refused):
        read(CHECKS, protocol, body)
