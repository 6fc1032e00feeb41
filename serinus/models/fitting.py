"""From a dataset to a fitted estimator and its contract. The same rows, parameters and seed give the same model."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serinus.errors import DataError, SpecError
from serinus.facts import Bins, Contract, Dataset, Field, Profile
from serinus.models import classes, user
from serinus.models.family import Family, Layout
from serinus.models.inputs import columns
from serinus.models.scoring import score
from serinus.spec import ModelLoop
from serinus.stats import bins

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5  # rows that warm a predictor up and show that it answers as its model did when it was made


def split(spec: ModelLoop, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(training rows, holdout rows) by time: the holdout is what is newer than the newest row less `data.holdout`.

    Rows without a label neither teach nor judge: they are in neither.
    """
    data = spec.spec.data
    border = frame[data.time].max() - data.holdout
    labelled = frame[frame[data.label].notna()]
    newer = labelled[data.time] > border
    return labelled[~newer].reset_index(drop=True), labelled[newer].reset_index(drop=True)


def fit(spec: ModelLoop, frame: pd.DataFrame, dataset: Dataset, code: Path | None) -> tuple[object, Contract]:
    """Train on the window less its holdout; (fitted estimator, its contract).

    frame: as `sources.open_snapshot` gives it. code: the folder of the user's own function.
    Raises SpecError (an estimator or parameter that does not fit the task), DataError (rows that cannot be learned
    from), Fatal (a user's function that fails, or returns something else than a fitted estimator).
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    train, holdout = split(spec, frame)
    for part, name in ((train, "training part"), (holdout, "holdout")):
        if part.empty:
            raise DataError(
                f"{name} of {dataset.source}: expected rows with a {spec.spec.data.label}, got none"
                f" of {len(frame)} in the window; see data.history and data.holdout"
            )
    contract = _draft(spec, train, dataset)
    for field in contract.fields:
        if train[field.name].isna().all():
            raise DataError(
                f"feature {field.name}: expected a value in some of the {len(train)} training rows, got only nulls;"
                " mend the source, or take it out of data.features"
            )
    target = train[contract.label]
    if contract.task != "regression":
        classes.check(contract, target.tolist())
    # The number of BLAS threads shows in the last bits of a solver's sums. That of OpenMP's does not in the trees, and
    # one core is left to those who answer requests meanwhile.
    with threadpool_limits({"blas": 1, "openmp": max(1, (os.cpu_count() or 1) - 1)}):
        if spec.spec.training.python is not None:
            estimator = user.fit(contract, columns(contract, train).values, target, code)
        else:
            estimator = _builtin(spec, contract, train, target)
    if contract.task != "regression":
        found = classes.of(contract, estimator, target.tolist())
        positive = classes.positive(spec, found) if contract.task == "binary-classification" else None
        contract = replace(contract, classes=found, positive=positive)
    return estimator, _completed(contract, estimator, train, holdout)


def _draft(spec: ModelLoop, train: pd.DataFrame, dataset: Dataset) -> Contract:
    """All of the contract that is known before the estimator is."""
    data, training = spec.spec.data, spec.spec.training
    fields = [Field(n, "numeric", bool(train[n].isna().any())) for n in data.features.numeric]
    fields += [Field(n, "categorical", bool(train[n].isna().any())) for n in data.features.categorical]
    features = [bins.numeric(n, train[n].to_numpy(dtype=np.float64)) for n in data.features.numeric]
    features += [bins.categorical(n, texts(train[n])) for n in data.features.categorical]
    return Contract(
        loop=spec.name,
        task=spec.spec.task,
        fields=tuple(fields),
        label=data.label,
        classes=(),
        positive=None,
        profile=Profile(len(train), tuple(features), Bins("score", "numeric")),
        dataset=dataset,
        examples=(),
        expected=(),
        estimator=training.python or str(training.estimator),
        params=training.params,
        seed=training.seed,
        trust=training.trust,
    )


def _builtin(spec: ModelLoop, contract: Contract, train: pd.DataFrame, target: pd.Series[Any]) -> Any:
    family = _family(spec)
    layout = Layout(
        categorical=tuple(len(b.categories) for b in contract.profile.features if b.kind == "categorical"),
        numeric=sum(field.kind == "numeric" for field in contract.fields),
    )
    estimator = family.build(spec.spec.task, layout, contract.params, contract.seed)
    y = target.to_numpy(dtype=np.float64) if contract.task == "regression" else target.to_numpy(dtype=str)
    try:
        estimator.fit(columns(contract, train).values, y)
    except (ValueError, TypeError) as error:  # how scikit-learn says that a parameter or the rows are wrong
        raise SpecError([f"spec.training: {contract.estimator} cannot be fitted: {error}"]) from error
    return family.settle(estimator)


def _family(spec: ModelLoop) -> Family:
    from serinus.models import TABLE

    name, task = str(spec.spec.training.estimator), spec.spec.task
    family = TABLE[name]
    if task not in family.tasks:
        fitting = ", ".join(n for n, f in TABLE.items() if task in f.tasks)
        raise SpecError(
            [f"spec.training.estimator: {name} gives probabilities of classes, not a {task}; use {fitting} or python"]
        )
    return family


def _completed(contract: Contract, estimator: Any, train: pd.DataFrame, holdout: pd.DataFrame) -> Contract:
    """With examples and their scores, and the distribution of the scores on the holdout."""
    rng = np.random.default_rng(contract.seed)
    chosen = train.iloc[np.sort(rng.choice(len(train), size=min(EXAMPLES, len(train)), replace=False))]
    examples = tuple(
        {
            field.name: _number(row[field.name]) if field.kind == "numeric" else _text(row[field.name])
            for field in contract.fields
        }
        for row in chosen.to_dict(orient="records")
    )
    judged = score(contract, estimator, holdout)
    if not np.isfinite(judged).all():
        raise DataError(f"{contract.estimator}: expected a finite score for every row of the holdout, got NaN or inf")
    return replace(
        contract,
        examples=examples,
        expected=tuple(float(s) for s in score(contract, estimator, chosen)),
        profile=replace(contract.profile, score=bins.numeric("score", judged)),
    )


def texts(values: pd.Series[Any]) -> list[str | None]:
    """A column of categories; None means missing."""
    return [_text(value) for value in values.tolist()]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
