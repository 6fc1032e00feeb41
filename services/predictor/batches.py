"""Answered rows as they travel: names once, then a list a row, each written down when it is answered.

A row in the queue is bytes, not objects: ten thousand of them cost the garbage collector nothing, and a batch is put
together without looking at any. The collector's README has the form: `/predictions` by columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from services.predictor.inputs import Rows


class Answered(NamedTuple):
    """One request that was answered."""

    at: int  # microseconds since 1970 UTC
    id: str
    rows: Rows
    scores: Sequence[float]
    labels: Sequence[str] | None  # None: a regression's

    def name(self, index: int) -> str:
        """The id of a row, by which labels find it."""
        return self.id if len(self.scores) == 1 else f"{self.id}/{index}"


@dataclass(frozen=True)
class Form:
    """How the rows of one version are written."""

    names: tuple[str, ...]  # the features that leave, in the order of their values
    head: bytes  # of a body, up to its first row

    def row(self, answered: Answered, index: int) -> bytes:
        """One row. Raises TypeError when something in it is no JSON: a user's estimator may answer what is no text."""
        at, _, rows, scores, labels = answered
        answer, key = "" if labels is None else labels[index], rows.keys[index] if rows.keys else ""
        features = rows.rows[index]
        values = [features[name] for name in self.names]
        return orjson.dumps([answered.name(index), at, scores[index], answer, key, *values])

    def body(self, rows: Sequence[bytes]) -> bytes:
        """A batch, ready to be posted."""
        return b"".join((self.head, b",".join(rows), b"]}"))


def form(version: int, features: Sequence[str], columns: Sequence[str] | None, hash: Sequence[str]) -> Form:
    """columns: those of the model's `features` that leave, None: all. hash: columns that are kept as a hash only."""
    names = tuple(name for name in features if columns is None or name in columns)
    head = orjson.dumps({"hash": hash, "version": version, "features": names, "rows": []})
    return Form(names, head.removesuffix(b"]}"))
