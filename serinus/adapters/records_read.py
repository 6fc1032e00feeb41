"""Predictions with what is known of them: the truth is joined when it is asked for, so that no order of arrival counts.

A label by id beats one by business key, which is the truth of every prediction that has the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from serinus.adapters.records_place import Place
from serinus.adapters.records_tables import LABELS, PREDICTIONS, moment, ticks
from serinus.facts import Prediction, Record, RowsQuestion

_ALL = 10**12
P = PREDICTIONS.c
BY_ID = LABELS.alias("by_id")
BY_KEY = LABELS.alias("by_key")
JOINED = PREDICTIONS.outerjoin(
    BY_ID,
    sa.and_(BY_ID.c.namespace == P.namespace, BY_ID.c.loop == P.loop, BY_ID.c.kind == "id", BY_ID.c.name == P.id),
).outerjoin(
    BY_KEY,
    sa.and_(BY_KEY.c.namespace == P.namespace, BY_KEY.c.loop == P.loop, BY_KEY.c.kind == "key", BY_KEY.c.name == P.key),
)
TRUTH = sa.func.coalesce(BY_ID.c.truth, BY_KEY.c.truth)
VALUE = sa.case((BY_ID.c.name.is_not(None), BY_ID.c.value), else_=BY_KEY.c.value)
KNOWN = sa.case((BY_ID.c.name.is_not(None), BY_ID.c.at), else_=BY_KEY.c.at)
_RECORD = sa.select(
    P.id,
    P.version,
    P.time,
    P.key,
    P.features,
    P.score,
    P.answer,
    TRUTH.label("truth"),
    VALUE.label("value"),
    KNOWN.label("known"),
    BY_ID.c.name.is_not(None).label("by_id"),
    BY_KEY.c.name.is_not(None).label("by_key"),
).select_from(JOINED)


@dataclass(frozen=True)
class Found:
    """A record, and which labels there are for it."""

    record: Record
    by_id: bool
    by_key: bool


def named(connection: sa.Connection, place: Place, ids: Sequence[str], keys: Sequence[str]) -> list[Found]:
    """The records with these ids or business keys, oldest first."""
    found: dict[str, Found] = {}
    for column, names in ((P.id, ids), (P.key, keys)):
        if names:  # one index a question: a planner makes little of an OR
            query = _RECORD.where(place.of(PREDICTIONS), place.among(column, names))
            found |= {row.id: _found(row) for row in connection.execute(query)}
    return sorted(found.values(), key=_age)


def rows(connection: sa.Connection, place: Place, question: RowsQuestion) -> list[Found]:
    """Records of a window, oldest first."""
    query = _RECORD.where(
        place.of(PREDICTIONS), P.time >= ticks(question.window.start), P.time < ticks(question.window.end)
    )
    if question.version is not None:
        query = query.where(P.version == question.version)
    if question.labelled:
        query = query.where(sa.case((P.answer == "", VALUE.is_not(None)), else_=TRUTH.is_not(None)))
    # A hash of id and seed is a fair draw that every database makes alike.
    drawn = query.order_by(sa.func.md5(P.id + f"/{question.seed}"), P.id).limit(min(max(question.limit, 0), _ALL))
    return sorted((_found(row) for row in connection.execute(drawn)), key=_age)


def waiting(connection: sa.Connection, place: Place) -> int:
    """Labels for which no prediction has come."""
    query = sa.select(sa.func.count()).select_from(LABELS).where(place.of(LABELS), LABELS.c.waiting)
    return connection.scalars(query).one()


def _found(row: Any) -> Found:
    prediction = Prediction(
        row.id,
        row.version,
        moment(row.time),
        orjson.loads(row.features),
        row.score,
        row.answer,
        row.key or "",
    )
    truth = row.truth if row.answer else row.value  # a word is no truth of a regression
    labelled = None if truth is None else moment(row.known)
    return Found(Record(prediction, truth, labelled), bool(row.by_id), bool(row.by_key))


def _age(found: Found) -> tuple[Any, str]:
    return found.record.prediction.time, found.record.prediction.id
