"""What a built-in family of estimators must say of itself to stand in TABLE, and the check of its parameters."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serinus.errors import SpecError
from serinus.spec import Task

Floats = npt.NDArray[np.float64]
CLASSIFICATION: tuple[Task, ...] = ("binary-classification", "multiclass-classification")
RESERVED = {
    "random_state": "the seed is spec.training.seed",
    "warm_start": "every model is trained from the start",
}


@dataclass(frozen=True)
class Layout:
    """The matrix that an estimator will be fitted on: categorical columns first, then numeric ones."""

    categorical: tuple[int, ...]  # how many categories each has
    numeric: int


@dataclass(frozen=True)
class Family:
    """A family of estimators.

    build(task, layout, params, seed) -> an unfitted scikit-learn estimator of float64 matrices (see `inputs.Inputs`).
    settle(estimator) -> the fitted estimator as it is kept: the same answers, faster or more repeatable.
    quick(estimator) -> a function of a small matrix that gives what `predict_proba` (or `predict`, for regression)
    gives, in less time; None where scikit-learn has to do it.
    """

    tasks: tuple[Task, ...]
    build: Callable[[Task, Layout, Mapping[str, object], int], Any]
    settle: Callable[[Any], Any] = lambda estimator: estimator
    quick: Callable[[Any], Callable[[Floats], Floats] | None] = lambda _: None


def made(
    kind: type[Any],
    name: str,
    params: Mapping[str, object],
    fixed: Mapping[str, object],
    reserved: Mapping[str, str] = RESERVED,
) -> Any:
    """`kind(**params, **fixed)`. Raises SpecError for a parameter that it does not have or that is not the user's.

    reserved: parameter -> why it is not set here.
    """
    known = sorted(set(kind().get_params()) - set(reserved))
    problems = []
    for key in params:
        if key in reserved:
            problems.append(f"spec.training.params.{key}: {reserved[key]}; take it out")
        elif key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0)[0]
            problems.append(
                f"spec.training.params.{key}: {name} ({kind.__name__}) has no such parameter; did you mean {near}?"
            )
    if problems:
        raise SpecError(problems)
    return kind(**{**params, **fixed})
