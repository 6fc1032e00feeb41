"""From a dataset to a fitted estimator and its contract. The same rows, parameters and seed give the same model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serinus import usercode
from serinus.errors import DataError, Fatal, SpecError
from serinus.facts import Bins, Contract, Dataset, Field, Profile
from serinus.models.inputs import columns
from serinus.models.scoring import score
from serinus.spec import ModelLoop
from serinus.stats import bins

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5


def split(spec: ModelLoop, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(training rows, holdout rows) by time: the holdout is what is newer than the newest row less `data.holdout`.

    Rows without a label neither teach nor judge and are in neither.
    """
    data = spec.spec.data
    border = frame[data.time].max() - data.holdout
    labelled = frame[frame[data.label].notna()]
    newer = labelled[data.time] > border
    return labelled[~newer], labelled[newer]


def fit(spec: ModelLoop, frame: pd.DataFrame, dataset: Dataset, code: Path | None) -> tuple[object, Contract]:
    """Train on the window less its holdout.

    frame: as `sources.open_snapshot` gives it. code: the folder of the user's own function.
    Raises SpecError (an estimator or parameter that does not fit), DataError (rows that cannot be learned from).
    """
    from serinus.models import TABLE

    training = spec.spec.training
    train, holdout = split(spec, frame)
    for part, name in ((train, "training part"), (holdout, "holdout")):
        if part.empty:
            raise DataError(f"{name}: expected labelled rows of {dataset.source}, found none; see data.holdout")
    contract = _draft(spec, train, dataset)
    y = train[spec.spec.data.label]
    if training.python is not None:
        estimator: Any = _own(training.python, contract, train, y, code)
    else:
        family = TABLE[str(training.estimator)]
        estimator = _builtin(family, contract, train, y)
    contract = _classes(spec, contract, estimator)
    rng = np.random.default_rng(training.seed)
    chosen = train.iloc[np.sort(rng.choice(len(train), size=min(EXAMPLES, len(train)), replace=False))]
    examples = tuple({f.name: _plain(row[f.name]) for f in contract.fields} for row in chosen.to_dict(orient="records"))
    contract = replace(
        contract,
        examples=examples,
        expected=tuple(float(s) for s in score(contract, estimator, chosen)),
        profile=replace(contract.profile, score=bins.numeric("score", score(contract, estimator, holdout))),
    )
    return estimator, contract


def _draft(spec: ModelLoop, train: pd.DataFrame, dataset: Dataset) -> Contract:
    """All of the contract that is known before the estimator is."""
    data, training = spec.spec.data, spec.spec.training
    fields = [Field(n, "numeric", bool(train[n].isna().any())) for n in data.features.numeric]
    fields += [Field(n, "categorical", bool(train[n].isna().any())) for n in data.features.categorical]
    features = [bins.numeric(n, train[n].to_numpy(dtype=np.float64)) for n in data.features.numeric]
    features += [bins.categorical(n, train[n].tolist()) for n in data.features.categorical]
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


def _builtin(family: Any, contract: Contract, train: pd.DataFrame, y: pd.Series[Any]) -> Any:
    from threadpoolctl import threadpool_limits

    from serinus.models.family import Layout

    if contract.task not in family.tasks:
        raise SpecError([f"spec.training.estimator: {contract.estimator} does not do {contract.task}"])
    layout = Layout(
        categorical=tuple(len(b.categories) for b in contract.profile.features if b.kind == "categorical"),
        numeric=sum(f.kind == "numeric" for f in contract.fields),
    )
    estimator = family.build(contract.task, layout, contract.params, contract.seed)
    target = y.to_numpy(dtype=np.float64) if contract.task == "regression" else y.to_numpy(dtype=str)
    with threadpool_limits(limits=1, user_api="blas"):
        estimator.fit(columns(contract, train).values, target)
    return family.settle(estimator)


def _own(reference: str, contract: Contract, train: pd.DataFrame, y: pd.Series[Any], code: Path | None) -> Any:
    function = usercode.resolve(reference, code)
    np.random.seed(contract.seed)  # noqa: NPY002
    return function(columns(contract, train).values, y.reset_index(drop=True), dict(contract.params))


def _classes(spec: ModelLoop, contract: Contract, estimator: Any) -> Contract:
    """The contract with the label's classes in the estimator's order, and which of them is the positive one."""
    if contract.task == "regression":
        return contract
    classes = tuple(str(c) for c in estimator.classes_)
    if contract.task == "multiclass-classification":
        return replace(contract, classes=classes)
    return replace(contract, classes=classes, positive=_positive(spec, classes))


def _positive(spec: ModelLoop, classes: Sequence[str]) -> str:
    wanted = spec.spec.data.positive
    if wanted is None:
        return max(classes, key=_order)
    found = next((c for c in classes if c == str(wanted) or c.casefold() == str(wanted).casefold()), None)
    if found is None:
        raise Fatal(f"spec.data.positive: expected one of {', '.join(classes)}, got {wanted}")
    return found


def _order(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text


def _plain(value: object) -> float | str | None:
    if value is None or value != value:
        return None
    return float(value) if isinstance(value, (int, float)) else str(value)
