"""What comes in, and what is forgotten: the writing half of the database of records.

Each function works in a transaction that no other writer of the loop runs beside, so that it may look first and write
then: statements are few, whatever the number of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from serinus.adapters import records_read, sql_engine
from serinus.adapters.records_checks import Kind, Row, Truth, keyed, request_of
from serinus.adapters.records_place import Place
from serinus.adapters.records_tables import LABELS, PREDICTIONS, TOMBSTONES, ticks
from serinus.facts import LabelOutcome, PredictionOutcome, Record, Taken

_PROBLEMS = 5  # sentences said of a batch
_FORGET = 20_000  # rows that are forgotten in one go, lest others wait


@dataclass
class Count:
    """What became of the items so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, outcome: LabelOutcome | PredictionOutcome, problem: str = "") -> None:
        """One item more."""
        self.outcomes[outcome] += 1
        if problem and len(self.problems) < _PROBLEMS:
            self.problems.append(problem)

    def taken(self) -> Taken:
        """All of it."""
        return Taken(dict(self.outcomes), tuple(self.problems))


def add(place: Place, rows: Sequence[Row], count: Count, joined: bool) -> tuple[Record, ...]:
    """Keep predictions; returns those whose truth waited for them when `joined`."""
    ids = {row["id"] for row in rows}
    keys = {row["key"] for row in rows if row["key"]}
    with sql_engine.writing(place.engine, place.lock) as connection:
        gone = {kind: _erased(connection, place, kind, names) for kind, names in _both(ids, keys)}
        p = PREDICTIONS.c
        rows_of = sql_engine.lookup(connection, p.id, ids, [p.id, p.loop], place.beside(PREDICTIONS))
        held = {id for id, loop in rows_of if loop == place.loop}
        fresh: dict[str, Row] = {}
        outcomes = Count()
        for row in rows:
            if row["id"] in gone["id"] or row["key"] in gone["key"]:
                outcomes.add("erased", f"prediction {row['id']}: it was erased")
            elif row["id"] in held or row["id"] in fresh:
                outcomes.add("doubled")
            else:
                outcomes.add("new")
                fresh[row["id"]] = row
        waited = _waited(connection, place, fresh.values())
        if fresh:
            sql_engine.insert(connection, PREDICTIONS, list(fresh.values()))
        found = records_read.named(connection, place, *waited, requests=False) if joined and any(waited) else []
    _merge(count, outcomes)
    return tuple(each.record for each in found if each.record.prediction.id in fresh and each.record.truth is not None)


def label(place: Place, truths: Sequence[Truth], count: Count, joined: bool) -> tuple[Record, ...]:
    """Keep truths in their order; returns the predictions that have one for the first time when `joined`."""
    names: dict[Kind, set[str]] = {"id": set(), "key": set()}
    for each in truths:
        names[each.kind].add(each.name)
    with sql_engine.writing(place.engine, place.lock) as connection:
        outcomes, write, first, stale = _decide(connection, place, truths, names)
        for kind in names:
            if old := [name for k, name in stale if k == kind]:
                connection.execute(sa.delete(LABELS).where(_labels_of(connection, place, kind, old)))
        if write:
            sql_engine.insert(connection, LABELS, [_label_row(place, *each) for each in write.values()])
        found: list[records_read.Found] = []
        if joined and first:
            by: dict[Kind, list[str]] = {"id": [], "key": []}
            for kind, name in first:
                by[kind].append(name)
            found = records_read.named(connection, place, by["id"], by["key"], requests=False)
    _merge(count, outcomes)
    return tuple(each.record for each in found if _first_truth(each, first))


Held = dict[tuple[Kind, str], tuple[Truth, bool]]
"""What is known of a name, and whether it waits."""


def _decide(
    connection: sa.Connection, place: Place, truths: Sequence[Truth], names: Mapping[Kind, set[str]]
) -> tuple[Count, Held, set[tuple[Kind, str]], set[tuple[Kind, str]]]:
    """(outcomes, what is to be written, names that now have a truth and a prediction for the first time, names of
    labels that are to be replaced).
    """
    gone = {kind: _erased(connection, place, kind, names[kind]) for kind in names}
    held: Held = {}
    for kind, some in names.items():
        held |= _held(connection, place, kind, some)
    stale = set(held)
    ids, keys, foreign = _known(connection, place, names)
    known: dict[Kind, Mapping[str, bool]] = {"id": ids, "key": keys}
    outcomes, write, first = Count(), Held(), set[tuple[Kind, str]]()
    for each in truths:
        at = (each.kind, each.name)
        regression = known[each.kind].get(each.name)
        if each.name in gone[each.kind]:
            outcomes.add("erased", f"{_said(each)}: the prediction was erased")
        elif regression and each.value is None:
            outcomes.add("invalid", f"{_said(each)}: expected a number, as the prediction is one, got {each.truth!r}")
        elif at in held:
            old, waiting = held[at]
            same = old.truth == each.truth
            if same or each.at >= old.at:
                if each.at != old.at or not same:
                    write[at] = held[at] = (each._replace(at=max(each.at, old.at)), waiting)
                outcomes.add("same" if same else "changed")
                if regression and old.value is None:
                    first.add(at)  # a word was there, which is none
            else:
                outcomes.add("older")
        elif each.name in foreign and each.kind == "id":
            outcomes.add("foreign", f"{_said(each)}: it is a prediction of another loop")
        else:
            write[at] = held[at] = (each, regression is None)
            outcomes.add("waiting" if regression is None else "joined")
            if regression is not None:
                first.add(at)
    return outcomes, write, first, stale & set(write)


def _said(truth: Truth) -> str:
    return f"label of {truth.kind} {truth.name}"


def erase(place: Place, ids: Sequence[str], keys: Sequence[str]) -> int:
    """Forget predictions and what is known of them, and remember that they are gone; returns how many there were.

    The id of a request stands for all of its rows, those that come later too.
    """
    with sql_engine.writing(place.engine, place.lock) as connection:
        p, t = PREDICTIONS.c, LABELS.c
        found = records_read.predictions(connection, place, ids, keys)
        requests = set(ids)
        labels = sql_engine.below(connection, t.name, requests, [t.name, t.kind, t.namespace, t.loop])
        whose = ("id", place.namespace, place.loop)
        early = {name for name, *of in labels if tuple(of) == whose and request_of(name) in requests}
        gone = {*ids, *early, *(row.id for row in found)}
        mine = p.loop.concat("") == place.loop  # said so, it is no question to the index by time
        these = sql_engine.named(connection, PREDICTIONS, p.id, gone, place.beside(PREDICTIONS), mine)
        connection.execute(sa.delete(PREDICTIONS).where(these))
        # A key's label goes with the last prediction that has the key.
        touched = {row.key for row in found if row.key} - set(keys)
        left = {key for (key,) in sql_engine.lookup(connection, p.key, touched, [p.key], place.of(PREDICTIONS))}
        dead = {*keys, *(touched - left)}
        for kind, names in _both(gone, dead):
            connection.execute(sa.delete(LABELS).where(_labels_of(connection, place, kind, names)))
        stones: list[dict[str, str]] = []
        for kind, some in _both({id for id in gone if request_of(id) not in requests}, set(keys)):
            new = some.difference(_erased(connection, place, kind, some))
            stones += [
                {"namespace": place.namespace, "loop": place.loop, "kind": kind, "hash": _stone(place, kind, name)}
                for name in sorted(new)
            ]
        if stones:
            sql_engine.insert(connection, TOMBSTONES, stones)
    sql_engine.overwrite(place.engine)
    return len(found)


def expire(place: Place, before: datetime) -> int:
    """Forget what is older, some rows at a time."""
    total = 0
    for table, time, name in (
        (PREDICTIONS, PREDICTIONS.c.time, [PREDICTIONS.c.id]),
        (LABELS, LABELS.c.at, [LABELS.c.kind, LABELS.c.name]),
    ):
        old = sa.select(*name).where(place.of(table), time < ticks(before)).order_by(time).limit(_FORGET)
        while True:
            with sql_engine.writing(place.engine, place.lock) as connection:
                went = connection.execute(sa.delete(table).where(place.of(table), sa.tuple_(*name).in_(old))).rowcount
            total += went
            if went < _FORGET:
                break
    return total


def _both(ids: set[str], keys: set[str]) -> tuple[tuple[Kind, set[str]], tuple[Kind, set[str]]]:
    return ("id", ids), ("key", keys)


def _stone(place: Place, kind: Kind, name: str) -> str:
    return keyed(place.hash_key, f"erased {kind}", name)


def _erased(connection: sa.Connection, place: Place, kind: Kind, names: Collection[str]) -> Collection[str]:
    """Those of the names that were erased, be it with the request that they are of."""
    t = TOMBSTONES.c
    mine = sa.and_(place.of(TOMBSTONES), t.kind == kind)
    if not names or connection.execute(sa.select(t.hash).where(mine).limit(1)).first() is None:
        return ()
    requests = {name: request_of(name) for name in names} if kind == "id" else {}
    hashes = {_stone(place, kind, name): name for name in {*names, *filter(None, requests.values())}}
    gone = {hashes[found] for (found,) in sql_engine.lookup(connection, t.hash, hashes, [t.hash], mine)}
    return {name for name in names if name in gone or requests.get(name) in gone}


def _held(connection: sa.Connection, place: Place, kind: Kind, names: Collection[str]) -> Held:
    t = LABELS.c
    rows = sql_engine.lookup(
        connection, t.name, names, [t.name, t.truth, t.value, t.at, t.waiting], place.of(LABELS), t.kind == kind
    )
    return {(kind, name): (Truth(kind, name, truth, value, at), waiting) for name, truth, value, at, waiting in rows}


def _known(
    connection: sa.Connection, place: Place, names: Mapping[Kind, Collection[str]]
) -> tuple[dict[str, bool], dict[str, bool], set[str]]:
    """(id -> whether it is a regression's, key -> the same, ids that only other loops have)."""
    p = PREDICTIONS.c
    ids: dict[str, bool] = {}
    others: set[str] = set()
    regressions = (p.answer == "").label("regression")
    for id, loop, regression in sql_engine.lookup(
        connection, p.id, names["id"], [p.id, p.loop, regressions], place.beside(PREDICTIONS)
    ):
        if loop == place.loop:
            ids[id] = bool(regression)
        else:
            others.add(id)
    rows = sql_engine.lookup(connection, p.key, names["key"], [p.key, regressions], place.of(PREDICTIONS))
    return ids, {key: bool(regression) for key, regression in rows}, others - ids.keys()


def _waited(connection: sa.Connection, place: Place, rows: Iterable[Row]) -> tuple[list[str], list[str]]:
    """(ids, keys) of these new predictions for which there are labels; none of them waits from now on."""
    t = LABELS.c
    found: dict[Kind, list[str]] = {"id": [], "key": []}
    for kind in found:
        if names := {row[kind] for row in rows if row[kind]}:
            mine = sa.and_(place.of(LABELS), t.kind == kind)
            labels = sql_engine.lookup(connection, t.name, names, [t.name, t.waiting], mine)
            found[kind] = [label.name for label in labels]
            if waiting := [label.name for label in labels if label.waiting]:
                these = _labels_of(connection, place, kind, waiting)
                connection.execute(sa.update(LABELS).where(these).values(waiting=False))
    return found["id"], found["key"]


def _labels_of(connection: sa.Connection, place: Place, kind: Kind, names: Collection[str]) -> sa.ColumnElement[bool]:
    return sql_engine.named(connection, LABELS, LABELS.c.name, names, place.of(LABELS), LABELS.c.kind == kind)


def _first_truth(found: records_read.Found, first: set[tuple[Kind, str]]) -> bool:
    """Whether the prediction has a truth, and had none before these names got theirs."""
    prediction = found.record.prediction
    before = (found.by_id and ("id", prediction.id) not in first) or (
        found.by_key and ("key", prediction.key) not in first
    )
    return found.record.truth is not None and not before


def _label_row(place: Place, truth: Truth, waiting: bool) -> dict[str, Any]:
    return {
        "namespace": place.namespace,
        "loop": place.loop,
        "kind": truth.kind,
        "name": truth.name,
        "truth": truth.truth,
        "value": truth.value,
        "at": truth.at,
        "waiting": waiting,
    }


def _merge(count: Count, more: Count) -> None:
    """Counted only once it is durable."""
    count.outcomes.update(more.outcomes)
    count.problems += more.problems[: _PROBLEMS - len(count.problems)]
