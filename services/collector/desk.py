"""What the collector does for whom it lets in: each function answers one request, in a thread."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qs

import orjson

from serinus import wire
from serinus.decide.audit import LOOP, erased, labels_changed
from serinus.errors import Fatal
from serinus.facts import Deed, Prediction, Record, RowsQuestion, Taken, TallyQuestion
from services.collector import labels as read_labels
from services.collector.columns import columns
from services.collector.metrics import CollectorMetrics, joins
from services.collector.reading import (
    LONGEST,
    MOST_PROBLEMS,
    Parsed,
    Refused,
    document,
    every,
    moment,
    names,
    prediction,
    shown,
)
from services.collector.routes import NAME, Ask, Reply, said
from services.collector.store import Store

T = TypeVar("T")
Q = TypeVar("Q", TallyQuestion, RowsQuestion)
LOCAL = "local"
"""The namespace of a laptop, where a deed has none."""
MOST_ROWS, MOST_WINDOWS, MOST_COLUMNS, MOST_NAMES, MOST_HIDDEN = 100_000, 10_000, 50, 10_000, 1000


@dataclass(frozen=True)
class Desk:
    """Takes and gives."""

    store: Store
    metrics: CollectorMetrics
    now: Callable[[], datetime]

    # --- what comes in ---------------------------------------------------------------------------------------------

    def predictions(self, ask: Ask) -> Reply:
        """POST {"hash": [column], "predictions": [...]}, or rows by columns."""
        _expect_json(ask)
        given = document(ask.body)
        hidden = names("hash", given.get("hash", []), MOST_HIDDEN)
        if "rows" not in given:
            parsed = every("predictions", given.get("predictions"), prediction)
            return _answer(parsed, self.add(ask.namespace, ask.loop, parsed.items, hidden, parsed.invalid))
        found, rows = columns(given)
        self.check(hidden)
        kept = self.store.records(ask.namespace).add_columns(ask.loop, found, hidden)
        return _answer(rows, self._added(ask.namespace, ask.loop, kept, rows.invalid))

    def add(
        self, namespace: str, loop: str, items: Sequence[Prediction], hidden: Collection[str] = (), invalid: int = 0
    ) -> Taken:
        """Keep predictions, and count them and the truths that waited for them. `invalid` more are counted so."""
        self.check(hidden)
        kept = self.store.records(namespace).add_joined(loop, items, hidden)
        return self._added(namespace, loop, kept, invalid)

    def _added(self, namespace: str, loop: str, kept: tuple[Taken, Sequence[Record]], invalid: int) -> Taken:
        taken, joined = kept
        total = _sum(taken, invalid)
        self.metrics.predictions(namespace, loop, total.outcomes)
        self.metrics.joined(namespace, loop, joins(joined))
        return total

    def check(self, hidden: Collection[str]) -> None:
        """Raises Refused when columns are to be hashed and there is no key for it."""
        if hidden and not self.store.hash_key:
            raise Refused("this collector has no key for hashes (--hash-key-file): leave these columns out", 409)

    def labels(self, ask: Ask) -> Reply:
        """POST {"labels": [...]}, or CSV."""
        if ask.kind == "text/csv":
            parsed = read_labels.from_csv(ask.body, self.now())
        else:
            _expect_json(ask, " or text/csv")
            parsed = read_labels.from_json(ask.body, self.now())
        taken, joined = self.store.records(ask.namespace).label_joined(ask.loop, parsed.items)
        total = _sum(taken, parsed.invalid)
        self.metrics.labels(ask.namespace, ask.loop, total.outcomes)
        self.metrics.joined(ask.namespace, ask.loop, joins(joined))
        if changed := taken.outcomes.get("changed", 0):
            deed = labels_changed(
                ask.loop, changed, _by(ask, ""), self.now(), hash_key=self.store.hash_key, namespace=_of(ask)
            )
            self.store.audit.append([deed])
        return _answer(parsed, total)

    # --- what is asked -----------------------------------------------------------------------------------------------

    def tally(self, ask: Ask) -> Reply:
        """POST a TallyQuestion; answers with a list of Tally."""
        question = _question(TallyQuestion, ask)
        length = (question.end - question.start).total_seconds()
        if not question.every > 0 or length > question.every * MOST_WINDOWS:
            raise Refused(f"every: expected at most {MOST_WINDOWS} windows, got one every {question.every:g} s")
        if len(question.columns) > MOST_COLUMNS:
            raise Refused(f"columns: expected at most {MOST_COLUMNS}, got {len(question.columns)}")
        return Reply(200, wire.dump(self.store.records(ask.namespace).tally(ask.loop, question)))

    def rows(self, ask: Ask) -> Reply:
        """POST a RowsQuestion; answers with a list of Record."""
        question = _question(RowsQuestion, ask)
        if question.limit > MOST_ROWS:
            raise Refused(f"limit: expected at most {MOST_ROWS}, got {question.limit}; ask for shorter windows")
        return _records(self.store.records(ask.namespace).rows(ask.loop, question))

    def find(self, ask: Ask) -> Reply:
        """POST {"ids": [...], "keys": [...]}; answers with a list of Record."""
        ids, keys, _ = _named(ask)
        return _records(self.store.records(ask.namespace).find(ask.loop, ids, keys))

    # --- what is forgotten -------------------------------------------------------------------------------------------

    def erase(self, ask: Ask) -> Reply:
        """POST {"ids", "keys", "by"?, "reason"?}; answers {"erased": n} once the audit trail has it too."""
        ids, keys, given = _named(ask)
        by, reason = _by(ask, given.get("by", "")), given.get("reason", "")
        if not isinstance(reason, str):
            raise Refused(f"reason: expected a text, got {shown(reason)}")
        if not ids and not keys:
            return said(200, {"erased": 0})
        count = self.store.records(ask.namespace).erase(ask.loop, ids, keys)
        deed = erased(ask.loop, count, by, self.now(), ids, keys, self.store.hash_key, _of(ask), reason)
        self.store.audit.append([deed])
        return said(200, {"erased": count})

    def expire(self, ask: Ask) -> Reply:
        """POST {"before": time}; answers {"expired": n}."""
        _expect_json(ask)
        try:
            before = moment("before", document(ask.body).get("before"))
        except ValueError as error:
            raise Refused(str(error)) from None
        count = self.store.records(ask.namespace).expire(ask.loop, before)
        self.metrics.expired(ask.namespace, ask.loop, count)
        return said(200, {"expired": count})

    # --- the audit trail ---------------------------------------------------------------------------------------------

    def append(self, ask: Ask) -> Reply:
        """POST {"deeds": [...]}, of loops of the one namespace that the query may name; answers {"appended": n}."""
        _expect_json(ask)
        deeds = _loaded(dict[str, tuple[Deed, ...]], ask.body).get("deeds")
        if deeds is None:
            raise Refused('expected {"deeds": [...]}')
        namespace = of_one_namespace(ask)
        if others := sorted({shown(deed.namespace) for deed in deeds if namespace and deed.namespace != namespace}):
            raise Refused(f"expected deeds of namespace {namespace} alone, got some of {', '.join(others[:5])}")
        return said(200, {"appended": self.store.audit.append(deeds)})

    def entries(self, ask: Ask) -> Reply:
        """GET ?after=&limit=; answers with a list of AuditEntry."""
        after, limit = _numbers(ask.query, after=0, limit=1000)
        return Reply(200, wire.dump(self.store.audit.entries(after, min(limit, 10_000))))


def of_one_namespace(ask: Ask) -> str:
    """The namespace that `?namespace=` names, "" for none. Whoever has a right there alone asks so."""
    given = parse_qs(ask.query, keep_blank_values=True).get("namespace")
    if given is None:
        return ""
    if len(given) > 1 or not re.fullmatch(NAME, given[0]):
        raise Refused(f"namespace: expected the name of one, got {shown(' '.join(given))}")
    return given[0]


def _answer(parsed: Parsed[Any], total: Taken) -> Reply:
    problems = [*parsed.problems, *total.problems][:MOST_PROBLEMS]
    return said(200, {"outcomes": dict(total.outcomes), "problems": problems})


def _records(records: Sequence[Record]) -> Reply:
    """As `wire` writes them, in a tenth of its time: there are no NaN in what came as JSON."""
    return Reply(200, orjson.dumps(records))


def _sum(taken: Taken, invalid: int) -> Taken:
    """With those that could not even be read."""
    outcomes = Counter(taken.outcomes)
    outcomes.update({"invalid": invalid} if invalid else {})
    return Taken(outcomes, taken.problems)


def _by(ask: Ask, claimed: object) -> str:
    """Whom the API server knows; else who the caller says it is."""
    if not isinstance(claimed, str) or len(claimed) > LONGEST:
        raise Refused(f"by: expected a name of at most {LONGEST} characters, got {shown(claimed)}")
    return ask.user or claimed or LOOP


def _of(ask: Ask) -> str:
    return "" if ask.namespace == LOCAL else ask.namespace


def _expect_json(ask: Ask, more: str = "") -> None:
    # A page in a browser can post other types to loopback without asking.
    if ask.kind != "application/json":
        raise Refused(f"expected the content type application/json{more}, got {shown(ask.kind or None)}", 415)


def _question(kind: type[Q], ask: Ask) -> Q:
    _expect_json(ask)
    found = _loaded(kind, ask.body)
    window = found if isinstance(found, TallyQuestion) else found.window
    if window.start.tzinfo is None or window.end.tzinfo is None:
        raise Refused("expected times with their offset, such as 2026-01-31T12:00:00Z")
    return found


def _named(ask: Ask) -> tuple[tuple[str, ...], tuple[str, ...], Mapping[str, Any]]:
    _expect_json(ask)
    given = document(ask.body)
    ids, keys = (_texts(what, given.get(what, [])) for what in ("ids", "keys"))
    return ids, keys, given


def _texts(what: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or len(given) > MOST_NAMES or not all(isinstance(name, str) for name in given):
        raise Refused(f"{what}: expected a list of at most {MOST_NAMES} texts, got {shown(given)}")
    return tuple(given)


def _loaded(kind: type[T], body: bytes) -> T:
    try:
        return wire.load(kind, body)
    except Fatal as error:
        raise Refused(str(error).removesuffix("; restore the file or remove it")) from None


def _numbers(query: str, **named: int) -> list[int]:
    given = parse_qs(query)
    found = []
    for name, default in named.items():
        text = given.get(name, [str(default)])[-1]
        if not re.fullmatch(r"[0-9]{1,15}", text):
            raise Refused(f"{name}: expected a whole number, got {shown(text)}")
        found.append(int(text))
    return found
