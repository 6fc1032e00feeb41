"""Predictions with what is known of them: the truth is joined when it is asked for, so that no order of arrival counts.

A label by id beats one by business key, which is the truth of every prediction that has the key.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from serinus.adapters import sql_engine
from serinus.adapters.records_checks import Kind, request_of
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
).select_from(JOINED)


@dataclass(frozen=True)
class Found:
    """A record, and which labels there are for it."""

    record: Record
    by_id: bool
    by_key: bool


def named(
    connection: sa.Connection, place: Place, ids: Collection[str], keys: Collection[str], requests: bool = True
) -> list[Found]:
    """The records with these ids or business keys, oldest first; `requests`: an id stands for a request's rows too."""
    rows = predictions(connection, place, ids, keys, requests)
    by_id = _labels(connection, place, "id", {row.id for row in rows})
    by_key = _labels(connection, place, "key", {row.key for row in rows if row.key})
    found = []
    for row in rows:
        one, other = by_id.get(row.id), by_key.get(row.key)
        found.append(_found(row, one or other, one is not None, other is not None))
    return sorted(found, key=_age)


def predictions(
    connection: sa.Connection, place: Place, ids: Collection[str], keys: Collection[str], requests: bool = True
) -> list[Any]:
    """Those with these ids or business keys, each once; `requests`: an id stands for the rows of a request as well."""
    names, mine = set(ids), place.beside(PREDICTIONS)
    found = {row.id: row for row in sql_engine.lookup(connection, P.id, names, [*P], mine) if row.loop == place.loop}
    if requests:
        for row in sql_engine.below(connection, P.id, names, [*P], mine):
            if row.loop == place.loop and request_of(row.id) in names:
                found[row.id] = row
    found |= {row.id: row for row in sql_engine.lookup(connection, P.key, set(keys), [*P], place.of(PREDICTIONS))}
    return list(found.values())


def _labels(connection: sa.Connection, place: Place, kind: Kind, names: Collection[str]) -> dict[str, Any]:
    t = LABELS.c
    what = [t.name, t.truth, t.value, t.at.label("known")]
    return {
        row.name: row for row in sql_engine.lookup(connection, t.name, names, what, place.of(LABELS), t.kind == kind)
    }


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
    found = (_found(row, row if row.truth is not None else None) for row in connection.execute(drawn))
    return sorted(found, key=_age)


def waiting(connection: sa.Connection, place: Place) -> int:
    """Labels for which no prediction has come."""
    query = sa.select(sa.func.count()).select_from(LABELS).where(place.of(LABELS), LABELS.c.waiting)
    return connection.scalars(query).one()


def _found(row: Any, label: Any, by_id: bool = False, by_key: bool = False) -> Found:
    prediction = Prediction(
        row.id,
        row.version,
        moment(row.time),
        orjson.loads(row.features),
        row.score,
        row.answer,
        row.key or "",
    )
    # A word is no truth of a regression.
    truth = None if label is None else label.truth if row.answer else label.value
    labelled = None if truth is None else moment(label.known)
    return Found(Record(prediction, truth, labelled), by_id, by_key)


def _age(found: Found) -> tuple[Any, str]:
    return found.record.prediction.time, found.record.prediction.id
