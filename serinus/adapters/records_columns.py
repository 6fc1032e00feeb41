"""Predictions of one version by columns: what may enter the tables, asked of a column at a time.

The questions are those of `records_checks.prediction_row`, which answers for every row where a column gives cause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import orjson

from serinus.adapters.records_checks import LARGEST, NAME_BYTES, Row, feature, hidden, prediction_row
from serinus.adapters.records_tables import moment
from serinus.adapters.sql_engine import storable
from serinus.facts import Prediction, Value

_PLAIN = frozenset({float, str, type(None)})


@dataclass(frozen=True)
class Columns:
    """Predictions by columns, which are of one length. Times are microseconds since 1970 UTC, in the calendar."""

    version: int
    names: Sequence[str]  # of features
    ids: Sequence[str]
    times: Sequence[int]
    scores: Sequence[float]
    answers: Sequence[str]
    keys: Sequence[str]
    values: Sequence[Sequence[Value]]  # by name

    def predictions(self) -> Iterator[Prediction]:
        """The same, one by one."""
        values = zip(*self.values, strict=True) if self.names else iter([()] * len(self.ids))
        each = zip(self.ids, self.times, values, self.scores, self.answers, self.keys, strict=True)
        for id, time, row, score, answer, key in each:
            features = dict(zip(self.names, row, strict=True))
            yield Prediction(id, self.version, moment(time), features, score, answer, key)


def rows(
    given: Columns, namespace: str, loop: str, hash_key: bytes, hash: Collection[str]
) -> tuple[list[Row], list[tuple[str, str]]]:
    """(rows of `predictions`, (id, what is wrong with it) of the others). Columns in `hash` are kept as keyed hashes.

    Raises Fatal when there are such and no key.
    """
    hide = hidden(hash_key, hash)
    found = _at_once(given, namespace, loop, hash_key, hash)
    if found is not None:
        return found, []
    good: list[Row] = []
    bad: list[tuple[str, str]] = []
    for item in given.predictions():
        row = prediction_row(item, namespace, loop, hide)
        if isinstance(row, str):
            bad.append((item.id, row))
        else:
            good.append(row)
    return good, bad


def _at_once(given: Columns, namespace: str, loop: str, hash_key: bytes, hash: Collection[str]) -> list[Row] | None:
    """The rows, None when one of them has to be looked at by itself."""
    if not (0 <= given.version < 2**31 and all(given.ids) and _names_fit(given) and _scores_fit(given)):
        return None
    try:
        documents = _documents(given, hash_key, hash)
        scores = list(map(float, given.scores))
    except (TypeError, ValueError, OverflowError):
        return None
    if "\\u0000" in "".join(documents):
        return None
    version = given.version
    return [
        {
            "namespace": namespace,
            "loop": loop,
            "id": id,
            "version": version,
            "time": time,
            "key": key or None,
            "features": document,
            "score": score,
            "answer": answer,
        }
        for id, time, key, document, score, answer in zip(
            given.ids, given.times, given.keys, documents, scores, given.answers, strict=True
        )
    ]


def _names_fit(given: Columns) -> bool:
    """Whether all ids, keys and classes are surely such as a database holds: short, whole, without zero bytes."""
    for texts in (given.ids, given.keys, set(given.answers)):
        together = "".join(texts)
        most = NAME_BYTES if together.isascii() else NAME_BYTES // 4
        if not storable(together) or max(map(len, texts), default=0) > most:
            return False
    return True


def _scores_fit(given: Columns) -> bool:
    """Whether all are probabilities, or all are numbers of a regression."""
    if not given.scores:
        return True
    classes = set(map(bool, given.answers))
    low, high = (0.0, 1.0) if True in classes else (-LARGEST, LARGEST)
    # A NaN is neither the least nor the greatest, but it makes the sum one.
    return len(classes) == 1 and low <= min(given.scores) and max(given.scores) <= high and sum(given.scores) < 1e300


def _documents(given: Columns, hash_key: bytes, hash: Collection[str]) -> list[str]:
    """Each row's features as they are kept. Raises TypeError, ValueError, OverflowError."""
    if not given.names:
        return ["{}"] * len(given.ids)
    hide = hidden(hash_key, hash)
    columns: list[Sequence[Value]] = []
    for name, values in zip(given.names, given.values, strict=True):
        if name not in hash and _PLAIN.issuperset(map(type, values)):
            columns.append(values)  # orjson writes what is no number as null, as `feature` would
        else:
            columns.append([hide(name, feature(value)) for value in values])
    return [orjson.dumps(dict(zip(given.names, row, strict=True))).decode() for row in zip(*columns, strict=True)]
