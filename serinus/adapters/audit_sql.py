"""The port Audit in the collector's database: a row an entry, numbered without gaps because writers take turns.

The tables refuse to change or drop a row. Whoever owns the database can take that away; the chain then shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from serinus import wire
from serinus.adapters import sql_engine
from serinus.adapters.records_tables import AUDIT
from serinus.decide import audit
from serinus.errors import Fatal
from serinus.facts import AuditEntry, Deed

_IN_ORDER = sa.select(AUDIT.c.number, AUDIT.c.deed, AUDIT.c.previous, AUDIT.c.digest).order_by(AUDIT.c.number)


class SqlAudit:
    """The audit trail in a database that `sql_engine.connect` opened and `migrations.up` brought up."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def append(self, deeds: Sequence[Deed]) -> int:
        """Keep those whose id is not there yet, in this order, in one step; returns how many those were."""
        with sql_engine.writing(self._engine, "audit") as connection:
            some = sql_engine.among(self._engine, AUDIT.c.id, [deed.id for deed in deeds])
            there = set(connection.scalars(sa.select(AUDIT.c.id).where(some)))
            newest = connection.execute(_IN_ORDER.order_by(None).order_by(AUDIT.c.number.desc()).limit(1)).first()
            previous = _entry(newest) if newest is not None else None
            rows = []
            for deed in deeds:
                if deed.id not in there:
                    there.add(deed.id)
                    previous = audit.link(previous, deed)
                    rows.append(_row(previous))
            if rows:
                connection.execute(sa.insert(AUDIT), rows)
        return len(rows)

    def entries(self, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Entries with numbers greater than `after`, oldest first, as they are stored."""
        with sql_engine.reading(self._engine) as connection:
            query = _IN_ORDER.where(AUDIT.c.number > after).limit(max(limit, 0))
            return tuple(_entry(row) for row in connection.execute(query))


def _row(entry: AuditEntry) -> dict[str, object]:
    return {
        "number": entry.number,
        "id": entry.deed.id,
        "deed": wire.dump(entry.deed).decode(),
        "previous": entry.previous,
        "digest": entry.digest,
    }


def _entry(row: Any) -> AuditEntry:
    try:
        deed = wire.load(Deed, row.deed.encode())
    except Fatal as error:
        raise Fatal(f"entry {row.number} of the audit trail was rewritten: {error}") from None
    return AuditEntry(row.number, deed, row.previous, row.digest)
