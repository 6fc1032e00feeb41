"""Regions of inputs in which a model errs about equally: the leaves of a small tree over its loss on the holdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serinus.facts import Condition, Contract, Region

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

LEAVES = 16
LEAST = 100  # holdout rows of a region
SCORE = "score"


@dataclass(frozen=True)
class _Column:
    """What the tree splits: numbers, or categories as their rank by mean loss, in which the best split of a squared
    loss is one of two neighbours (Fisher 1958, "On grouping for maximum homogeneity"). NaN is null.
    """

    name: str
    values: Floats
    categories: tuple[str, ...] = ()  # by rank; of numbers, none


def find(contract: Contract, rows: pd.DataFrame, scores: Floats, loss: Floats, seed: int) -> tuple[Region, ...]:
    """The regions of `rows`; they cover all inputs but categories that neither training nor the holdout had.

    scores, loss: of the rows, shape (n,). The tree splits the features and the score. Fewer than 2 x LEAST rows have no
    regions.
    """
    from sklearn.tree import DecisionTreeRegressor

    if len(rows) < 2 * LEAST:
        return ()
    columns = [*_features(contract, rows, loss), _Column(SCORE, scores)]
    matrix = np.column_stack([column.values for column in columns])
    model = DecisionTreeRegressor(max_leaf_nodes=LEAVES, min_samples_leaf=LEAST, random_state=seed)
    tree = model.fit(matrix, loss).tree_
    found = [(conditions, loss[_inside(conditions, columns)]) for conditions in _leaves(tree, columns, 0, {})]
    return tuple(
        Region(tuple(conditions.values()), part.size, float(part.mean()), float((part**2).mean()))
        for conditions, part in found
        if part.size
    )


def _features(contract: Contract, rows: pd.DataFrame, loss: Floats) -> Iterator[_Column]:
    profiles = {bins.name: bins for bins in contract.profile.features}
    for field in contract.fields:
        if field.name == SCORE:
            continue  # regions name the model's own score so
        if field.kind == "numeric":
            yield _Column(field.name, rows[field.name].to_numpy(dtype=np.float64))
            continue
        texts = rows[field.name].where(rows[field.name].notna(), None)
        means = {str(name): float(loss[part].mean()) for name, part in rows.groupby(field.name).indices.items()}
        names = {*means, *profiles[field.name].categories}
        ranked = sorted(names, key=lambda name: (means.get(name, float(loss.mean())), name))
        place = {name: float(rank) for rank, name in enumerate(ranked)}
        yield _Column(field.name, texts.map(place).to_numpy(dtype=np.float64), tuple(ranked))


Conditions = dict[str, Condition]


def _leaves(tree: Any, columns: list[_Column], node: int, above: Conditions) -> Iterator[Conditions]:
    """The conditions of every leaf under `node`, whose own are `above`, by column."""
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left == right:
        yield above
        return
    column = columns[tree.feature[node]]
    border = min(float(tree.threshold[node]), sys.float_info.max)  # infinite where null goes alone
    if np.isnan(column.values).any():
        null_left = bool(tree.missing_go_to_left[node])
    else:
        null_left = bool(tree.n_node_samples[left] >= tree.n_node_samples[right])  # to the more usual side
    was = above.get(column.name, Condition(column.name, categories=column.categories, missing=True))
    for child, is_left in ((left, True), (right, False)):
        narrowed = replace(was, missing=was.missing and null_left == is_left)
        if column.categories:
            first = int(min(border, len(column.categories))) + 1
            side = column.categories[:first] if is_left else column.categories[first:]
            narrowed = replace(narrowed, categories=tuple(c for c in was.categories if c in side))
        else:
            narrowed = replace(narrowed, high=border) if is_left else replace(narrowed, low=border)
        yield from _leaves(tree, columns, child, {**above, column.name: narrowed})


def _inside(conditions: Conditions, columns: list[_Column]) -> npt.NDArray[np.bool_]:
    """Which rows the conditions hold for, as `decide.concept.region_of` sees it; the tree itself rounds to 32 bits."""
    inside = np.ones(columns[0].values.size, dtype=bool)
    for column in columns:
        condition = conditions.get(column.name)
        if condition is None:
            continue
        null = np.isnan(column.values)
        if column.categories:
            known = np.array([name in condition.categories for name in column.categories] + [False])
            holds = known[np.where(null, len(known) - 1, np.nan_to_num(column.values)).astype(np.intp)]
        else:
            low = -np.inf if condition.low is None else condition.low
            high = np.inf if condition.high is None else condition.high
            holds = (column.values > low) & (column.values <= high)
        inside &= np.where(null, condition.missing, holds)
    return inside
