"""A database for each test, SQLite and Postgres; a test module imports `postgres` of tests.servers.postgres as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from serinus.adapters import migrations, sql_engine
from tests.servers.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.empty()


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """A database of the newest tables."""
    made = sql_engine.connect(url)
    migrations.up(made)
    yield made
    made.dispose()
