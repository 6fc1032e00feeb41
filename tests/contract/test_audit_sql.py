"""The port Audit in a database: SQLite and Postgres keep the promises that the file keeps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from serinus.adapters import sql_engine
from serinus.adapters.audit_sql import SqlAudit
from serinus.adapters.records_tables import AUDIT
from serinus.decide.audit import verify
from serinus.errors import Fatal
from tests.contract.audit_suite import AuditPromises, deed
from tests.servers.databases import engine, url
from tests.servers.postgres import postgres

__all__ = ["engine", "postgres", "url"]  # fixtures


class TestAudit(AuditPromises):
    @pytest.fixture
    def audit(self, engine: sa.Engine) -> SqlAudit:
        return SqlAudit(engine)

    @pytest.fixture
    def away(self, engine: sa.Engine, tmp_path: Path) -> SqlAudit:
        if engine.dialect.name == "postgresql":
            return SqlAudit(sql_engine.connect("postgresql://serinus:secret@127.0.0.1:9/nowhere"))
        (tmp_path / "file").write_text("not a folder")
        return SqlAudit(sql_engine.connect(f"sqlite:///{tmp_path}/file/records.db"))


def test_writers_at_once_leave_one_chain(engine: sa.Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: SqlAudit(engine).append([deed(n), deed(n + 1)]), range(10, 40)))
    assert sum(made) == 31
    entries = SqlAudit(engine).entries()
    assert len(entries) == 31
    assert verify(entries) is None


@pytest.mark.parametrize("change", [sa.update(AUDIT).values(digest="0"), sa.delete(AUDIT)], ids=["update", "delete"])
def test_an_entry_is_neither_changed_nor_removed_by_mistake(engine: sa.Engine, change: sa.Executable) -> None:
    audit = SqlAudit(engine)
    audit.append([deed(1), deed(2)])
    with pytest.raises(Fatal, match="append only"), sql_engine.writing(engine, "meddling") as connection:
        connection.execute(change)
    assert verify(audit.entries()) is None
    assert len(audit.entries()) == 2


def test_an_entry_that_the_owner_of_the_database_rewrote_is_found(engine: sa.Engine) -> None:
    audit = SqlAudit(engine)
    audit.append([deed(1), deed(2), deed(3)])
    sqlite = engine.dialect.name == "sqlite"
    with sql_engine.writing(engine, "meddling") as connection:
        take_away = "DROP TRIGGER audit_no_update" if sqlite else "ALTER TABLE audit DISABLE TRIGGER ALL"
        connection.exec_driver_sql(take_away)
        new = sa.func.replace(AUDIT.c.deed, '"by":"ann"', '"by":"bob"')
        connection.execute(sa.update(AUDIT).where(AUDIT.c.number == 2).values(deed=new))
    assert [entry.deed.by for entry in audit.entries()] == ["ann", "bob", "ann"]
    assert "entry 2" in (verify(audit.entries()) or "")
    with sql_engine.writing(engine, "meddling") as connection:
        connection.execute(sa.update(AUDIT).where(AUDIT.c.number == 2).values(deed="gone"))
    with pytest.raises(Fatal, match="entry 2 of the audit trail was rewritten"):
        audit.entries()
