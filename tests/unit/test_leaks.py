from __future__ import annotations

import numpy as np

from serinus.stats.leaks import Leak, of_line, of_order, of_values

RNG = np.random.default_rng(0)
TRUTH = np.tile([0, 1, 1, 0], 50).astype(np.intp)


def test_a_column_that_is_the_label_under_other_names_is_a_leak() -> None:
    assert of_values("status", 1 - TRUTH, TRUTH) == Leak("status", "stands for the label one to one (values)", 2.0)


def test_a_column_whose_every_value_goes_with_one_class_is_a_leak() -> None:
    codes = TRUTH * 2 + np.tile([0, 1], 100)
    assert of_values("code", codes, TRUTH) == Leak("code", "has values that each go with one class only (values)", 4.0)


def test_one_exception_makes_a_column_innocent() -> None:
    codes = TRUTH.copy()
    codes[0] = 1
    assert of_values("status", codes, TRUTH) is None


def test_values_too_rare_to_tell_are_no_evidence() -> None:
    assert of_values("number", np.arange(TRUTH.size), TRUTH) is None


def test_one_class_is_no_evidence() -> None:
    assert of_values("anything", TRUTH, np.zeros_like(TRUTH)) is None


def test_a_number_that_separates_the_classes_is_a_leak_either_way_round() -> None:
    delay = np.where(TRUTH == 1, 20.0, -20.0) + RNG.normal(size=TRUTH.size)
    delay[:5] = np.nan
    found = of_order("delay", delay, TRUTH == 1)
    assert found is not None
    assert found.figure == 1.0
    assert of_order("delay", -delay, TRUTH == 1) == found


def test_a_number_that_only_helps_is_innocent() -> None:
    assert of_order("temp", TRUTH + RNG.normal(size=TRUTH.size), TRUTH == 1) is None


def test_order_among_a_few_rows_is_no_evidence() -> None:
    values = np.where(TRUTH == 1, 1.0, 0.0)
    values[np.flatnonzero(TRUTH == 1)[9:]] = np.nan
    assert of_order("rarely there", values, TRUTH == 1) is None


def test_a_label_in_other_units_is_a_leak() -> None:
    litres = RNG.normal(100, 20, 60)
    found = of_line("gallons", np.append(litres * 0.264 - 3, np.nan), np.append(litres, 5.0))
    assert found is not None
    assert found.what == "is the label up to scale and offset (correlation)"
    assert of_line("nearly", litres + RNG.normal(0, 0.1, 60), litres) is None


def test_constants_and_few_rows_are_no_evidence_of_a_line() -> None:
    litres = RNG.normal(100, 20, 60)
    assert of_line("constant", np.ones(60), litres) is None
    assert of_line("label constant", litres, np.ones(60)) is None
    assert of_line("few", litres[:9], litres[:9]) is None
