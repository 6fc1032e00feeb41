"""The figures of `validation.fairness`: rates by group of the holdout, counted by fairlearn.

What makes a gap of them, and how sure it is, is in stats/fairness.py; whether it is too large in decide/champion.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from serinus.facts import FairnessGap
from serinus.spec import Fairness
from serinus.stats import fairness, figures
from serinus.steps import slicing

if TYPE_CHECKING:
    import pandas as pd


def gaps(asked: Fairness, rows: pd.DataFrame, answers: figures.Classified, confidence: float) -> Iterator[FairnessGap]:
    """The gap of each column of `asked.groups`; together their intervals hold at `confidence`.

    A group is a value of the column, null among them; its answer is the more probable class. Raises DataError for a
    column that the rows do not have.
    """
    truth = np.asarray(answers.truth == answers.positive, dtype=np.intp)
    said = np.asarray(answers.predicted == answers.positive, dtype=np.intp)
    for column in asked.groups:
        named = slicing.values(rows, column, "validation.fairness.groups")
        largest = named.isin(named.value_counts().head(slicing.LARGEST).index).to_numpy()
        shares = {
            rate: _shares(rate, truth[largest], said[largest], named[largest]) for rate in fairness.RATES[asked.metric]
        }
        yield fairness.gap(
            column, asked.metric, shares,
            min_rows=asked.min_rows, confidence=confidence, columns=len(asked.groups),
        )  # fmt: skip


def _shares(rate: fairness.Rate, truth: Any, said: Any, groups: pd.Series[Any]) -> dict[str, fairness.Share]:
    """What fairlearn counts of `rate` in each group."""
    from fairlearn import metrics  # type: ignore[import-untyped]

    figure: dict[fairness.Rate, Callable[..., float]] = {
        # A group may have one class only: which one is positive cannot be guessed from it.
        "truePositives": partial(metrics.true_positive_rate, pos_label=1),
        "falsePositives": partial(metrics.false_positive_rate, pos_label=1),
        "positives": metrics.selection_rate,
    }
    rows: dict[fairness.Rate, Callable[[Any, Any], int]] = {
        "truePositives": lambda true, _: int(np.sum(true)),
        "falsePositives": lambda true, _: int(np.sum(1 - np.asarray(true))),
        "positives": lambda true, _: len(true),
    }
    frame = metrics.MetricFrame(
        metrics={"rate": figure[rate], "rows": rows[rate]},
        y_true=truth,
        y_pred=said,
        sensitive_features=groups.to_numpy(),
    )
    found = {}
    for group, row in frame.by_group.iterrows():
        count = int(row["rows"])  # 0: nobody for the rate to be of, and fairlearn says 0 for it
        found[str(group)] = fairness.Share(round(float(row["rate"]) * count), count)
    return found
