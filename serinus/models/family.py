"""What a built-in family of estimators must say of itself to stand in TABLE, and the checks of its parameters."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from serinus.errors import SpecError
from serinus.spec import Task


@dataclass(frozen=True)
class Layout:
    """The matrix that an estimator will be fitted on: `categorical` columns first, then `numeric` ones."""

    categorical: tuple[int, ...]  # how many categories each has
    numeric: int


@dataclass(frozen=True)
class Family:
    """A family of estimators.

    build(task, layout, params, seed) -> an unfitted scikit-learn estimator of float64 matrices (see `inputs.Inputs`).
    settle(estimator) makes the fitted estimator ready to be kept: the same answers, faster or more repeatable.
    """

    tasks: tuple[Task, ...]
    build: Callable[[Task, Layout, Mapping[str, object], int], Any]
    settle: Callable[[Any], Any] = lambda estimator: estimator


def made(
    kind: type[Any], name: str, params: Mapping[str, object], fixed: Mapping[str, object], reserved: Mapping[str, str]
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
            near = difflib.get_close_matches(key, known, n=1, cutoff=0)
            problems.append(
                f"spec.training.params.{key}: {name} ({kind.__name__}) has no such parameter; did you mean {near[0]}?"
            )
    if problems:
        raise SpecError(problems)
    return kind(**{**params, **fixed})
