"""The ports Recorder and Records: SQLite and Postgres keep the same promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from serinus.adapters import migrations, sql_engine
from serinus.adapters.records_sql import SqlRecords
from tests.contract.records_cases import Both, Open
from tests.contract.records_suite import RecordsPromises
from tests.servers.postgres import Postgres, postgres

__all__ = ["postgres"]  # a fixture
KEY = b"0123456789abcdef"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """A database that the tests share; each has a namespace of its own."""
    server: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgres" else None
    folder = tmp_path_factory.mktemp("records")
    made = sql_engine.connect(server.fresh() if server else f"sqlite:///{folder}/records.db")
    migrations.up(made)
    yield made
    made.dispose()


class TestRecords(RecordsPromises):
    @pytest.fixture
    def open(self, engine: sa.Engine) -> Open:
        return lambda namespace: SqlRecords(engine, namespace, KEY)

    @pytest.fixture
    def away(self, engine: sa.Engine, tmp_path: Path) -> Both:
        if engine.dialect.name == "postgresql":
            return SqlRecords(sql_engine.connect("postgresql://serinus:secret@127.0.0.1:9/nowhere"))
        (tmp_path / "file").write_text("not a folder")
        return SqlRecords(sql_engine.connect(f"sqlite:///{tmp_path}/file/records.db"))
