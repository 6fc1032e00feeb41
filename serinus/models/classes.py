"""The values of a classification's label: text everywhere, in the order of the estimator's columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serinus.errors import DataError, Fatal, SpecError
from serinus.facts import Contract
from serinus.spec import ModelLoop


def check(contract: Contract, labels: Sequence[str]) -> None:
    """Raises DataError when the training rows do not have as many classes as the task needs."""
    found = sorted(set(labels))
    binary = contract.task == "binary-classification"
    if len(found) < 2 or (binary and len(found) > 2):
        expected = "exactly two classes" if binary else "at least two classes"
        shown = ", ".join(found[:10]) + (", ..." if len(found) > 10 else "")
        raise DataError(
            f"label {contract.label}: expected {expected} in the training rows for {contract.task},"
            f" got {len(found)}: {shown}"
        )


def of(contract: Contract, estimator: Any, labels: Sequence[str]) -> tuple[str, ...]:
    """The estimator's classes, which are the label's. Raises Fatal when a user's estimator answers with others."""
    classes = tuple(str(c) for c in estimator.classes_)
    if set(classes) != set(labels):
        raise Fatal(
            f"{contract.estimator}: expected an estimator whose classes_ are the values of {contract.label}"
            f" ({', '.join(sorted(set(labels)))}), got {', '.join(classes)}; fit it on y as it is given"
        )
    return classes


def positive(spec: ModelLoop, classes: Sequence[str]) -> str:
    """The class whose probability is the score: `data.positive`, or the larger one (as numbers where both are)."""
    wanted = spec.spec.data.positive
    if wanted is None:
        return max(classes, key=_order)
    # YAML's `true` is Python's True; in a CSV file the same value is written in any case
    same = str.casefold if isinstance(wanted, bool) else str
    for name in classes:
        if same(name) == same(str(wanted)):
            return name
    raise SpecError([f"spec.data.positive: expected one of the label's values {', '.join(classes)}, got {wanted}"])


def _order(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name
