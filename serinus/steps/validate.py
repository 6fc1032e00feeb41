"""validate: the candidate on the holdout, beside the champion on the same rows and a model without features.

What is measured is here and in stats/; whether it is enough is decided in decide/champion.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serinus import artifact, models, sources, wire
from serinus.decide.champion import judge, refusals
from serinus.errors import ArtifactError, DataError, GateFailed
from serinus.facts import Contract, Dataset, Evaluation, FairnessGap, SliceScore, Why
from serinus.models import scoring
from serinus.spec import METRICS_OF, ModelLoop
from serinus.stats import figures, leaks, paired, quality
from serinus.steps import card, fairness, slicing

if TYPE_CHECKING:
    import pandas as pd

REPORT, PAGE = "evaluation.json", "card.html"


def run(
    loop: str, folder: str, dataset: Path, candidate: Path, champion: Path | None, out: Path, *, why: str = ""
) -> Evaluation:
    """Judge the model in `candidate` on the holdout of the snapshot `dataset`; write `evaluation.json`, `card.html`.

    loop: the ModelLoop as JSON. folder: where its file lies; "" where there is none. champion: the serving model's
    directory, None for a loop's first version. why: what the run was asked for (`facts.Why` as JSON), for the card; ""
    where nobody said. Raises GateFailed with every refusal's sentence, after writing;
    ArtifactError for a model that was changed, or that was not trained on this snapshot; DataError.
    """
    spec = ModelLoop.model_validate_json(loop)
    code, trust = Path(folder) if folder else None, spec.spec.training.trust
    frame, about = sources.open_snapshot(dataset)
    mine = artifact.load(candidate, trust, code)
    theirs = None if champion is None else artifact.load(champion, trust, code)
    evaluation = evaluate(spec, frame, about, mine, theirs)
    out.mkdir(parents=True, exist_ok=True)
    (out / REPORT).write_bytes(wire.dump(evaluation))
    said = artifact.reference(candidate)
    asked = wire.load(Why, why.encode()) if why else None
    page = card.model(spec, evaluation, mine.contract, said.importance if said is not None else (), asked)
    (out / PAGE).write_text(page, encoding="utf-8")
    if reasons := refusals(evaluation.verdicts):
        raise GateFailed("validate", reasons)
    return evaluation


def evaluate(
    spec: ModelLoop,
    frame: pd.DataFrame,
    about: Dataset,
    candidate: artifact.Model,
    champion: artifact.Model | None,
) -> Evaluation:
    """All figures and verdicts. Bootstraps are seeded with `training.seed`, so that a rerun says the same."""
    if candidate.contract.dataset.version != about.version:
        raise ArtifactError(
            f"candidate: expected a model of dataset {about.version[:12]}, got one of "
            f"{candidate.contract.dataset.version[:12]}; it may have learned from these holdout rows: train it anew"
        )
    train, holdout = models.split(spec, frame)
    validation, contract = spec.spec.validation, candidate.contract
    metric, lower = validation.metric, validation.metric in figures.LOWER_IS_BETTER
    mine = _answers(candidate, contract, holdout)
    taught = _truth_only(contract, train)
    incomparable = "" if champion is None else _incomparable(champion.contract, contract, holdout)
    theirs = None if champion is None or incomparable else _answers(champion, contract, holdout)
    interval, method = _interval(spec, mine, theirs) if theirs is not None else (None, "")
    over_baseline, how = _interval(spec, mine, figures.trivial(metric, mine, taught))
    measured: dict[str, float] = {}
    for name in METRICS_OF[spec.spec.task]:
        measured[name] = figures.value(name, mine)
        measured[f"baseline_{name}"] = figures.value(name, figures.trivial(name, mine, taught))
        if theirs is not None:
            measured[f"champion_{name}"] = figures.value(name, theirs)
    evaluation = Evaluation(
        metric=metric,
        higher_is_better=not lower,
        rows=len(holdout),
        candidate=measured[metric],
        champion=measured.get(f"champion_{metric}"),
        baseline=measured[f"baseline_{metric}"],
        difference=None if interval is None else interval.difference,
        interval=None if interval is None else (interval.low, interval.high),
        confidence=validation.confidence,
        method=method or how,
        metrics={name: value for name, value in measured.items() if np.isfinite(value)},
        slices=tuple(_slices(spec, holdout, mine, theirs)),
        labels=contract.classes,
        confusion=_confusion(mine),
        roc=_roc(mine),
        baseline_interval=None if over_baseline is None else (over_baseline.low, over_baseline.high),
        digest=candidate.digest,
        dataset=about.version,
        fairness=_fairness(spec, holdout, mine),
    )
    verdicts = judge(validation, evaluation, tuple(_leaks(contract, holdout, mine)), incomparable)
    return replace(evaluation, verdicts=verdicts)


def _answers(model: artifact.Model, order: Contract, rows: pd.DataFrame) -> figures.Answers:
    """What `model` says of `rows`, its classes in the order of the contract `order`."""
    answered = scoring.answer(model.contract, model.estimator, rows)
    known = _truth_only(order, rows)
    if isinstance(known, figures.Regressed) or answered.probabilities is None:
        return figures.Regressed(_floats(rows[order.label]), answered.scores)
    columns = [model.contract.classes.index(kind) for kind in order.classes]
    return replace(known, probabilities=answered.probabilities[:, columns])


def _truth_only(contract: Contract, rows: pd.DataFrame) -> figures.Answers:
    """The label of `rows`, with no answers yet. Raises DataError for a class that the model does not know."""
    if contract.task == "regression":
        truth = _floats(rows[contract.label])
        return figures.Regressed(truth, truth)
    import pandas as pd

    codes = pd.Index(contract.classes).get_indexer(pd.Index(rows[contract.label].astype(str)))
    if (codes < 0).any():
        strangers = sorted({str(kind) for kind in rows[contract.label]} - set(contract.classes))
        raise DataError(
            f"column {contract.label}: expected the classes {', '.join(contract.classes)} that the model learned, got "
            f"also {', '.join(strangers[:10])} in the holdout; widen data.history or narrow data.holdout"
        )
    positive = contract.classes.index(contract.positive) if contract.positive is not None else 1
    nobody = np.zeros((len(rows), len(contract.classes)))
    return figures.Classified(np.asarray(codes, dtype=np.intp), nobody, positive)


def _incomparable(champion: Contract, candidate: Contract, rows: pd.DataFrame) -> str:
    """Why the champion cannot be scored on these rows beside the candidate; empty when it can."""
    for what, old, new in (
        ("task", champion.task, candidate.task),
        ("label", champion.label, candidate.label),
        ("classes", ", ".join(sorted(champion.classes)), ", ".join(sorted(candidate.classes))),
        ("positive class", champion.positive, candidate.positive),
    ):
        if old != new:
            return f"its {what} was {old}, and is now {new}"
    for field in champion.fields:
        if field.name not in rows.columns:
            return f"it needs the column {field.name}, which the data no longer has"
        kind = "numeric" if rows[field.name].dtype == np.float64 else "categorical"
        if kind != field.kind:
            return f"it takes {field.name} as {field.kind}, which is now {kind}"
    return ""


def _interval(spec: ModelLoop, mine: figures.Answers, other: figures.Answers) -> tuple[paired.Interval | None, str]:
    """The difference mine - other, signed so that positive is better, and how it was made or why it could not be."""
    metric, confidence = spec.spec.validation.metric, spec.spec.validation.confidence
    try:
        if (
            metric == "roc_auc"
            and isinstance(mine, figures.Classified)
            and isinstance(other, figures.Classified)
            and mine.classes == 2
        ):
            truth, p = mine.truth == mine.positive, mine.positive
            made = paired.delong(truth, mine.probabilities[:, p], other.probabilities[:, p], confidence)
            return made, made.method
        made = paired.bootstrap(
            figures.figure(metric, mine),
            figures.figure(metric, other),
            mine.truth.size,
            rng=np.random.default_rng(spec.spec.training.seed),
            confidence=confidence,
        )
    except ValueError as error:
        return None, str(error)
    if metric in figures.LOWER_IS_BETTER:
        made = replace(made, difference=-made.difference, low=-made.high, high=-made.low)
    return made, made.method


def _slices(
    spec: ModelLoop, rows: pd.DataFrame, mine: figures.Answers, theirs: figures.Answers | None
) -> Iterator[SliceScore]:
    """The metric by the values of each slice column; a slice on which it is not defined (one class) is left out."""
    validation = spec.spec.validation
    sign = -1 if validation.metric in figures.LOWER_IS_BETTER else 1
    ours = figures.figure(validation.metric, mine)
    champion = None if theirs is None else figures.figure(validation.metric, theirs)
    for column in validation.slices:
        named = slicing.values(rows, column, "validation.slices")
        for value, count in named.value_counts().head(slicing.LARGEST).items():
            there = (named == value).to_numpy()
            score = float(ours(there[None, :].astype(np.float64))[0])
            if not np.isfinite(score):
                continue
            between = _between(validation.metric, figures.select(mine, there))
            if champion is None or theirs is None:
                yield SliceScore(column, str(value), int(count), score, None, interval=between)
                continue
            old = float(champion(there[None, :].astype(np.float64))[0])
            error = None
            if count >= validation.min_slice_rows and sign * (score - old) < -validation.slice_margin:
                # Only a slice that looks too bad needs to be told from chance.
                interval, _ = _interval(spec, figures.select(mine, there), figures.select(theirs, there))
                error = None if interval is None else interval.error
            yield SliceScore(column, str(value), int(count), score, old, error, between)


def _between(metric: str, mine: figures.Answers) -> tuple[float, float] | None:
    """The interval of a figure at 95 %, from counts as production's are; None where counts do not give it."""
    if isinstance(mine, figures.Regressed):
        found = quality.regressed(quality.errors(mine.predicted, mine.truth)).get(metric)
    else:
        two = mine.classes == 2
        scores = mine.probabilities[:, mine.positive] if two else mine.probabilities.max(axis=1)
        counted = quality.cells([*map(str, mine.truth)], [*map(str, mine.predicted)], scores)
        found = quality.classified(counted, str(mine.positive) if two else None).get(metric)
    return (found.low, found.high) if found is not None else None


def _fairness(spec: ModelLoop, rows: pd.DataFrame, mine: figures.Answers) -> tuple[FairnessGap, ...]:
    """Of two classes, where it is asked for; the spec asks for it of nothing else."""
    asked = spec.spec.validation.fairness
    if asked is None or isinstance(mine, figures.Regressed):
        return ()
    return tuple(fairness.gaps(asked, rows, mine, spec.spec.validation.confidence))


def _leaks(contract: Contract, rows: pd.DataFrame, mine: figures.Answers) -> Iterator[leaks.Leak]:
    """Features that tell the label by themselves on the holdout; one smell a feature is enough."""
    import pandas as pd

    for field in contract.fields:
        values = rows[field.name]
        if isinstance(mine, figures.Regressed):
            found = leaks.of_line(field.name, _floats(values), mine.truth) if field.kind == "numeric" else None
        else:
            codes = np.asarray(pd.factorize(values, use_na_sentinel=True)[0], dtype=np.intp)  # a null is a value too
            found = leaks.of_values(field.name, codes, mine.truth)
            if found is None:
                missing = np.asarray(values.isna(), dtype=np.intp)
                found = leaks.of_values(field.name, missing, mine.truth)
            if found is None and field.kind == "numeric" and mine.classes == 2:
                found = leaks.of_order(field.name, _floats(values), mine.truth == mine.positive)
        if found is not None:
            yield found


def _confusion(mine: figures.Answers) -> tuple[tuple[int, ...], ...]:
    if isinstance(mine, figures.Regressed):
        return ()
    return tuple(tuple(int(count) for count in row) for row in figures.confusion(mine))


def _roc(mine: figures.Answers) -> tuple[tuple[float, float, float], ...]:
    """Of binary classification; empty otherwise."""
    if isinstance(mine, figures.Regressed) or mine.classes != 2:
        return ()
    return figures.roc(mine.truth == mine.positive, mine.probabilities[:, mine.positive])


def _floats(values: pd.Series[Any]) -> npt.NDArray[np.float64]:
    return values.to_numpy(dtype=np.float64)
