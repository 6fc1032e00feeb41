"""What is measured of a model on labelled rows, as functions of row weights.

One definition serves the figure itself (all weights 1), its bootstrap (weights are counts of drawn rows) and its
slices (weights are 0 or 1), so that these cannot disagree. With weights 1 the values equal scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serinus.stats.paired import Bools, Figure, Floats

Codes = npt.NDArray[np.intp]
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae"})


@dataclass(frozen=True)
class Classified:
    """Answers of a classifier: `truth` (n,) holds class numbers, `probabilities` (n, classes), `positive` the class
    that binary figures are about.
    """

    truth: Codes
    probabilities: Floats
    positive: int = 1

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.probabilities.shape[1])

    @property
    def predicted(self) -> Codes:
        """The most probable class of each row, shape (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.intp)


@dataclass(frozen=True)
class Regressed:
    """Answers of a regression: `truth` and `predicted`, both (n,)."""

    truth: Floats
    predicted: Floats


Answers = Classified | Regressed


def figure(metric: str, answers: Answers) -> Figure:
    """The figure `metric` of these answers, ready to be asked for many weightings of the rows.

    NaN for any weighting when an answer is not finite: sorting would give NaN a rank, and so a verdict.
    """
    answered = answers.predicted if isinstance(answers, Regressed) else answers.probabilities
    if not np.isfinite(answered).all():
        return lambda weights: np.full(weights.shape[0], np.nan)
    if isinstance(answers, Regressed):
        return _REGRESSION[metric](answers)
    return _CLASSIFICATION[metric](answers)


def value(metric: str, answers: Answers) -> float:
    """The figure on all rows; NaN where it is not defined (ROC AUC of one class)."""
    return float(figure(metric, answers)(np.ones((1, answers.truth.size)))[0])


def confusion(answers: Classified) -> npt.NDArray[np.intp]:
    """Counts by truth (rows) and predicted class (columns), shape (classes, classes)."""
    cells = answers.truth * answers.classes + answers.predicted
    return np.bincount(cells, minlength=answers.classes**2).reshape(answers.classes, answers.classes)


def roc(truth: Bools, scores: Floats, points: int = 200) -> tuple[tuple[float, float, float], ...]:
    """(false positive rate, true positive rate, threshold), rising; thinned to at most `points` with both ends kept.

    A row counts as positive from the threshold upwards. Empty when a class has no rows.
    """
    positives = int(truth.sum())
    if positives in (0, truth.size):
        return ()
    order = np.argsort(-scores, kind="stable")
    ends = _ends(scores[order])
    hits = np.cumsum(truth[order])[ends]
    alarms = ends + 1 - hits
    keep = np.unique(np.linspace(0, ends.size - 1, min(points - 1, ends.size)).round().astype(int))
    start = (0.0, 0.0, float(scores.max()) + 1e-9)
    rates = zip(alarms[keep] / (truth.size - positives), hits[keep] / positives, scores[order][ends[keep]], strict=True)
    return (start, *((float(a), float(h), float(t)) for a, h, t in rates))


def select(answers: Answers, rows: Bools) -> Answers:
    """The answers of some rows."""
    if isinstance(answers, Regressed):
        return Regressed(answers.truth[rows], answers.predicted[rows])
    return Classified(answers.truth[rows], answers.probabilities[rows], answers.positive)


# --- figures that are functions of sums over the rows ----------------------------------------------------------------


def _sums(columns: Floats, finish: Callable[[Floats, Floats], Floats]) -> Figure:
    """`finish` gets the weighted sums of `columns` (n, k), shape (k, b), and the sums of the weights, shape (b,)."""

    def of(weights: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return finish((weights @ columns).T, weights.sum(axis=1))

    return of


def _mean(column: Floats) -> Figure:
    return _sums(column[:, None], lambda sums, total: sums[0] / total)


def _log_loss(answers: Classified) -> Figure:
    chosen = answers.probabilities[np.arange(answers.truth.size), answers.truth]
    tiny = np.finfo(np.float64).eps  # as scikit-learn clips
    return _mean(-np.log(np.clip(chosen, tiny, 1)))


def _brier(answers: Classified) -> Figure:
    return _mean((answers.probabilities[:, answers.positive] - (answers.truth == answers.positive)) ** 2)


def _accuracy(answers: Classified) -> Figure:
    return _mean((answers.truth == answers.predicted).astype(np.float64))


def _one_hot(codes: Codes, classes: int) -> Floats:
    return np.asarray(codes[:, None] == np.arange(classes), dtype=np.float64)


def _balanced_accuracy(answers: Classified) -> Figure:
    there = _one_hot(answers.truth, answers.classes)
    hit = there * (answers.truth == answers.predicted)[:, None]

    def finish(sums: Floats, _total: Floats) -> Floats:
        count = sums[answers.classes :]
        recall = np.where(count > 0, sums[: answers.classes] / count, 0)  # a class without rows has no recall
        return np.asarray(recall.sum(axis=0) / (count > 0).sum(axis=0))

    return _sums(np.hstack([hit, there]), finish)


def _f1(answers: Classified) -> Figure:
    """Of the positive class in binary classification, else the mean over the classes that occur (macro)."""
    k = answers.classes
    there, said = _one_hot(answers.truth, k), _one_hot(answers.predicted, k)

    def finish(sums: Floats, total: Floats) -> Floats:
        hits, both = sums[:k], sums[k:]
        each = np.where(both > 0, 2 * hits / both, 0)
        if k == 2:
            return np.asarray(np.where(total > 0, each[answers.positive], np.nan))
        return np.asarray(each.sum(axis=0) / (both > 0).sum(axis=0))

    return _sums(np.hstack([there * said, there + said]), finish)


def _rmse(answers: Regressed) -> Figure:
    return _sums(
        ((answers.truth - answers.predicted) ** 2)[:, None], lambda sums, total: np.asarray(np.sqrt(sums[0] / total))
    )


def _mae(answers: Regressed) -> Figure:
    return _mean(np.abs(answers.truth - answers.predicted))


def _r2(answers: Regressed) -> Figure:
    centred = answers.truth - answers.truth.mean()  # keeps the difference of squares exact enough
    columns = np.stack([(answers.truth - answers.predicted) ** 2, centred, centred**2], axis=1)

    def finish(sums: Floats, total: Floats) -> Floats:
        spread = sums[2] - sums[1] ** 2 / total
        return np.asarray(np.where(spread > 0, 1 - sums[0] / spread, np.nan))

    return _sums(columns, finish)


# --- figures of the order of the scores ------------------------------------------------------------------------------


def _ends(ordered: Floats) -> npt.NDArray[np.intp]:
    """Where each run of equal values ends."""
    return np.append(np.flatnonzero(np.diff(ordered) != 0), ordered.size - 1)


def _running(weights: Floats, rows: npt.NDArray[np.intp]) -> Floats:
    """Running sums of the weights of `rows`, with a leading 0; shape (b, rows + 1)."""
    sums = np.zeros((weights.shape[0], rows.size + 1))
    np.cumsum(np.take(weights, rows, axis=1), axis=1, out=sums[:, 1:])
    return sums


def _auc(truth: Bools, scores: Floats) -> Figure:
    """Running sums over the rarer class only, looked up at the other's scores: sums in order are what costs time."""
    positive_rarer = bool(truth.sum() * 2 <= truth.size)
    rare, other = np.flatnonzero(truth == positive_rarer), np.flatnonzero(truth != positive_rarer)
    rare = rare[np.argsort(scores[rare], kind="stable")]
    below = np.searchsorted(scores[rare], scores[other], side="left")
    upto = np.searchsorted(scores[rare], scores[other], side="right")

    def of(weights: Floats) -> Floats:
        sums, others = _running(weights, rare), np.take(weights, other, axis=1)
        lower = np.einsum("bi,bi->b", others, np.take(sums, below, axis=1))
        tied = np.einsum("bi,bi->b", others, np.take(sums, upto, axis=1)) - lower
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.asarray((lower + tied / 2) / (sums[:, -1] * others.sum(axis=1)))
        return np.asarray(1 - share if positive_rarer else share)

    return of


def _roc_auc(answers: Classified) -> Figure:
    """Binary: of the positive class. Else the mean over classes of each against the rest (one-vs-rest, macro)."""
    if answers.classes == 2:
        return _auc(answers.truth == answers.positive, answers.probabilities[:, answers.positive])
    each = [_auc(answers.truth == k, answers.probabilities[:, k]) for k in range(answers.classes)]
    return lambda weights: np.asarray(np.mean([one(weights) for one in each], axis=0))


def _average_precision(answers: Classified) -> Figure:
    """The mean over positive rows of the precision at their score."""
    truth, scores = answers.truth == answers.positive, answers.probabilities[:, answers.positive]
    descending = np.argsort(-scores, kind="stable")
    positives, negatives = descending[truth[descending]], descending[~truth[descending]]
    hits_at = np.searchsorted(-scores[positives], -scores[positives], side="right")
    alarms_at = np.searchsorted(-scores[negatives], -scores[positives], side="right")

    def of(weights: Floats) -> Floats:
        running = _running(weights, positives)
        hits = np.take(running, hits_at, axis=1)
        everyone = hits + np.take(_running(weights, negatives), alarms_at, axis=1)
        precision = np.divide(hits, everyone, out=np.zeros_like(hits), where=everyone > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.einsum("bi,bi->b", np.take(weights, positives, axis=1), precision) / running[:, -1])

    return of


_CLASSIFICATION: Mapping[str, Callable[[Classified], Figure]] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
    "brier": _brier,
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
}
_REGRESSION: Mapping[str, Callable[[Regressed], Figure]] = {"rmse": _rmse, "mae": _mae, "r2": _r2}


def trivial(metric: str, answers: Answers, train: Answers) -> Answers:
    """What a model that ignores the features answers on the rows of `answers`: the prior, the mean, the median.

    Learned from the truth of `train`, never from the rows that it is judged on. For f1 of a binary task it says
    `positive` always, which is the hardest constant to beat.
    """
    if isinstance(answers, Regressed):
        middle = np.median(train.truth) if metric == "mae" else np.mean(train.truth)
        return Regressed(answers.truth, np.full(answers.truth.size, float(middle)))
    prior = np.bincount(train.truth.astype(np.intp), minlength=answers.classes) / train.truth.size
    if metric == "f1" and answers.classes == 2:
        prior = np.eye(2)[answers.positive]
    return Classified(answers.truth, np.tile(prior, (answers.truth.size, 1)), answers.positive)
