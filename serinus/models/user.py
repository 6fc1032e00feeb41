"""Fitting by a user's own function, `fit(X, y, params)`, and what must come back from it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from serinus import usercode
from serinus.errors import Fatal
from serinus.facts import Contract

EXAMPLES = 5


def fit(contract: Contract, x: Any, y: Any, code: Path | None) -> Any:
    """What the function returned for X (DataFrame: float64 with NaN, text with None), y and the spec's params.

    y is a Series: text for classes, float64 for regression. Python's and NumPy's global generators are seeded before,
    so that an estimator that draws from them is repeatable. Raises Fatal that names the function.
    """
    reference = contract.estimator
    function = usercode.resolve(reference, code)
    random.seed(contract.seed)
    np.random.seed(contract.seed)
    try:
        estimator: Any = function(x, y, dict(contract.params))
    except Exception as error:  # a user's function may fail in any way; the traceback stays with the cause
        raise Fatal(f"python {reference}: fit(X, y, params) failed: {type(error).__name__}: {error}") from error
    needed = ["predict"] if contract.task == "regression" else ["predict_proba", "classes_"]
    if missing := [name for name in needed if not hasattr(estimator, name)]:
        raise Fatal(
            f"python {reference}: expected a fitted scikit-learn estimator with {' and '.join(needed)}"
            f" for {contract.task}, got {type(estimator).__name__} without {' and '.join(missing)}"
        )
    _answers(reference, estimator, x[:EXAMPLES], needed[0])
    return estimator


def _answers(reference: str, estimator: Any, x: Any, verb: str) -> None:
    """Raises Fatal unless the estimator takes rows of X as they are and gives as many answers."""
    try:
        shape = np.shape(getattr(estimator, verb)(x))
    except Exception as error:  # as above
        raise Fatal(
            f"python {reference}: expected an estimator that answers rows of X (columns {', '.join(x.columns)}) as fit"
            f" was given them; its {verb} failed: {type(error).__name__}: {error}"
        ) from error
    expected = (len(x),) if verb == "predict" else (len(x), len(estimator.classes_))
    if shape != expected:
        raise Fatal(f"python {reference}: expected {verb} of {len(x)} rows to have shape {expected}, got {shape}")
