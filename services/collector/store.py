"""The database behind the door: opened when it can be, asked per namespace."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import sqlalchemy as sa

from serinus.adapters import migrations, sql_engine
from serinus.adapters.payload_halves import PayloadHalves
from serinus.adapters.records_sql import SqlRecords
from serinus.adapters.records_tables import LABELS, PREDICTIONS
from serinus.errors import Fatal, Unavailable
from serinus.facts import AuditEntry, Deed
from serinus.ports import Audit

log = logging.getLogger("serinus.collector")


class Store:
    """Records by namespace, the audit trail, and sides of payloads. Until it was opened everything is Unavailable."""

    def __init__(self, url: str, hash_key: bytes = b"", audit: Audit | None = None) -> None:
        self.engine = sql_engine.connect(url)
        self.hash_key = hash_key
        self._audit = audit
        self._open = False
        self._opening = Lock()

    def open(self) -> None:
        """Bring the tables up, once. Raises Unavailable; Fatal when a newer program made them."""
        with self._opening:
            if not self._open:
                migrations.up(self.engine)
                self._open = True
                log.info("the database %s is open", self.engine.url.render_as_string(hide_password=True))

    def ping(self) -> None:
        """Raises Unavailable unless the database is open and answers."""
        self.open()
        with sql_engine.reading(self.engine) as connection:
            connection.execute(sa.select(1))

    def records(self, namespace: str) -> SqlRecords:
        """Those of a namespace."""
        self._check()
        return SqlRecords(self.engine, namespace, self.hash_key)

    @property
    def audit(self) -> Audit:
        """The trail."""
        self._check()
        if self._audit is not None:
            return self._audit
        from serinus.adapters.audit_sql import SqlAudit

        return SqlAudit(self.engine)

    @property
    def halves(self) -> PayloadHalves:
        """Sides of payloads."""
        self._check()
        return PayloadHalves(self.engine)

    def loops(self) -> tuple[tuple[str, str], ...]:
        """(namespace, loop) of all that is held. Of predictions a few entries of an index each, however many they are;
        labels, which have no such index, are read once.
        """
        self._check()
        p, t = PREDICTIONS.c, LABELS.c
        first = sa.select(p.namespace, p.loop).order_by(p.namespace, p.loop).limit(1)
        with sql_engine.reading(self.engine) as connection:
            found = {(row.namespace, row.loop) for row in connection.execute(sa.select(t.namespace, t.loop).distinct())}
            row = connection.execute(first).first()
            while row is not None:
                found.add((row.namespace, row.loop))
                after = sa.tuple_(p.namespace, p.loop) > sa.tuple_(row.namespace, row.loop)
                row = connection.execute(first.where(after)).first()
        return tuple(sorted(found))

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def _check(self) -> None:
        if not self._open:
            raise Unavailable("the database is not open yet; ask again in a moment")


class InTurn:
    """An audit trail that one thread at a time asks."""

    def __init__(self, audit: Audit) -> None:
        self._audit, self._lock = audit, Lock()

    def append(self, deeds: Sequence[Deed]) -> int:
        """Keep those whose id is not there yet; returns how many those were."""
        with self._lock:
            return self._audit.append(deeds)

    def entries(self, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Entries with numbers greater than `after`, oldest first."""
        with self._lock:
            return self._audit.entries(after, limit)


def hash_key(path: Path | None) -> bytes:
    """The key in the file, blanks at its ends left out; empty without a file. Raises Fatal."""
    if path is None:
        return b""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise Fatal(f"{path}: expected the key for hashes: {error.strerror}") from None
    if not 16 <= len(key) <= 64:
        raise Fatal(f"{path}: expected a key of 16 to 64 bytes, got {len(key)}; `openssl rand -hex 32` makes one")
    return key
