"""Rows of mixed columns as the matrices that detectors take. What is missing is a value like others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from serinus.facts import Value

Sample = Mapping[str, Sequence[Value]]
"""Columns of equal length: name -> values; None is missing."""
Matrix = npt.NDArray[np.float64]
_CATEGORIES = 50  # of a column that get a place of their own; the rare ones share one
_EXPECTED = 5  # rows of a category in the smaller sample, for a chi-squared test to take it by itself
_FAR = 10.0  # standard deviations from which on all is equally far


def codes(reference: Sample, current: Sample) -> tuple[Matrix, Matrix, list[int]]:
    """Both samples with a column for each of theirs, and the places of categories, which are numbered from 0.

    A missing number is smaller than all others. Categories of which fewer than five are to be expected in the smaller
    sample count as one: a chi-squared test is not for less (Cochran 1954). With each on its own it told 2.3 % of clean
    samples of 1,000 and 100 rows of 100 categories apart where 0.56 % were meant.
    """
    before, after, categories = [], [], []
    for place, name in enumerate(reference):
        one, other = _pair(reference, current, name)
        if _is_text(one, other):
            known, rare = _expected(one, other)
            before.append(np.array([known.get(value, rare) for value in one]))
            after.append(np.array([known.get(value, rare) for value in other]))
            categories.append(place)
            continue
        numbers = _numbers(one), _numbers(other)
        present = np.concatenate(numbers)
        low = np.nanmin(present) - 1 if not np.isnan(present).all() else 0.0
        before.append(np.where(np.isnan(numbers[0]), low, numbers[0]))
        after.append(np.where(np.isnan(numbers[1]), low, numbers[1]))
    return np.column_stack(before), np.column_stack(after), categories


def spread(reference: Sample, current: Sample) -> tuple[Matrix, Matrix]:
    """Both samples as points: numbers in standard deviations from the mean, and a place for each category, one for the
    rare ones and one for what is missing.

    Mean, deviation and categories are those of both samples together, so that it makes no difference which of them a
    row is in: by the reference's alone a category that happens to be in the other one only would look like drift (of
    clean samples of 100 rows a permutation test then told 21 % apart at 5 %).
    """
    before: list[Matrix] = []
    after: list[Matrix] = []
    for name in reference:
        for one, other in _axes(*_pair(reference, current, name)):
            before.append(one)
            after.append(other)
    return np.column_stack(before), np.column_stack(after)


def _axes(one: Sequence[Value], other: Sequence[Value]) -> list[tuple[Matrix, Matrix]]:
    if _is_text(one, other):
        often = _often(one, other)
        coded = [np.array([often.get(value, len(often)) for value in values]) for values in (one, other)]
        return [((coded[0] == c).astype(float), (coded[1] == c).astype(float)) for c in range(len(often) + 1)]
    before, after = _numbers(one), _numbers(other)
    all_ = np.concatenate([before, after])
    there = all_[~np.isnan(all_)]
    mean, deviation = (there.mean(), there.std()) if there.size else (0.0, 0.0)
    scaled = [
        np.clip(np.where(np.isnan(v), 0.0, (v - mean) / (deviation or 1.0)), -_FAR, _FAR) for v in (before, after)
    ]
    axes = [(scaled[0], scaled[1])]
    if np.isnan(all_).any():
        axes.append((np.isnan(before).astype(float), np.isnan(after).astype(float)))
    return axes


def _expected(one: Sequence[Value], other: Sequence[Value]) -> tuple[dict[Value, float], float]:
    """Codes of the categories that a chi-squared test can tell apart, and the code that the others share."""
    counts, smaller = Counter(one) + Counter(other), min(len(one), len(other)) / (len(one) + len(other))
    known = [value for value in dict.fromkeys((*one, *other)) if counts[value] * smaller >= _EXPECTED]
    return {value: float(code) for code, value in enumerate(known)}, float(len(known))


def _often(one: Sequence[Value], other: Sequence[Value]) -> dict[Value, int]:
    """Places of the categories that get one of their own; of equally frequent ones in the order of their names."""
    counts = Counter(one) + Counter(other)
    order = sorted(counts, key=lambda value: (-counts[value], value is None, str(value)))
    return {value: place for place, value in enumerate(order[:_CATEGORIES])}


def _pair(reference: Sample, current: Sample, name: str) -> tuple[Sequence[Value], Sequence[Value]]:
    return reference[name], current[name]


def _is_text(*samples: Sequence[Value]) -> bool:
    return any(isinstance(value, str) for values in samples for value in values)


def _numbers(values: Sequence[Value]) -> Matrix:
    return np.array([np.nan if value is None else float(value) for value in values])
