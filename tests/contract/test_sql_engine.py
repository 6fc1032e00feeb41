"""SQLite and Postgres as one: migrations, locks, and errors that tell what they mean and no password."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from serinus.adapters import migrations, sql_engine
from serinus.adapters.records_sql import SqlRecords
from serinus.adapters.records_tables import METADATA, NAME
from serinus.errors import Fatal, Unavailable
from serinus.facts import RowsQuestion, Taken
from tests.contract.records_cases import ALWAYS, label, prediction, truths
from tests.servers.databases import engine, url
from tests.servers.postgres import Postgres, postgres

__all__ = ["engine", "postgres", "url"]  # fixtures
KEY = b"0123456789abcdef"


def test_a_writer_that_waits_too_long_for_another_says_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_engine, "PATIENCE", 1.0)
    engine = sql_engine.connect(url)
    migrations.up(engine)
    records = SqlRecords(engine, "ns", KEY)
    with sql_engine.writing(engine, "records/ns/a"), pytest.raises(Unavailable, match=r"lock"):
        records.add("a", [prediction()])
    assert records.add("a", [prediction()]) == Taken({"new": 1})
    engine.dispose()


# --- migrations --------------------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_that_the_code_knows(engine: sa.Engine) -> None:
    plain = sa.create_engine(engine.url)  # to look at tables SQLAlchemy reads JSON, which ours leaves as it is
    with plain.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "serinus_schema"})
        assert compare_metadata(context, METADATA) == []
    primary = {name: sa.inspect(plain).get_pk_constraint(name)["constrained_columns"] for name in METADATA.tables}
    assert primary == {name: [c.name for c in table.primary_key] for name, table in METADATA.tables.items()}
    if engine.dialect.name == "postgresql":
        kept = {name: {c["name"]: c["type"] for c in sa.inspect(plain).get_columns(name)} for name in METADATA.tables}
        assert {name for table in kept.values() for name, kind in table.items() if getattr(kind, "collation", "")} == {
            column.name for table in METADATA.tables.values() for column in table.c if column.type is NAME
        }
    plain.dispose()


def test_a_database_of_an_older_release_keeps_its_rows(url: str) -> None:
    engine = sql_engine.connect(url)
    with sql_engine.writing(engine, "migrations") as connection:
        command.upgrade(migrations.config(connection), "0002")
    records = SqlRecords(engine, "ns", KEY)
    records.add("a", [prediction("r/0", key="k"), prediction("r/1")])
    records.label("a", [label("no", key="k"), label("yes", id="r/1")])
    migrations.up(engine)
    assert truths(records, "r/0", "r/1") == ["no", "yes"]
    assert records.add("a", [prediction("r/0"), prediction("r/2")]) == Taken({"doubled": 1, "new": 1})
    assert records.erase("a", ["r"]) == 3
    engine.dispose()


def test_programs_that_start_at_once_migrate_once(url: str) -> None:
    engines = [sql_engine.connect(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrations.up, engines))
    assert SqlRecords(engines[0], "ns").add("a", [prediction()]) == Taken({"new": 1})
    migrations.up(engines[1])
    assert truths(SqlRecords(engines[2], "ns"), "p") == [None]
    for each in engines:
        each.dispose()


def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    engine = sql_engine.connect(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE audit (mine TEXT)")
        connection.commit()
    with pytest.raises(Fatal, match="audit"):
        migrations.up(engine)
    assert sa.inspect(engine).get_table_names() == ["audit"]
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE audit")
        connection.commit()
    migrations.up(engine)
    engine.dispose()


def test_the_tables_can_be_taken_back_and_made_anew(engine: sa.Engine) -> None:
    with sql_engine.writing(engine, "migrations") as connection:
        command.downgrade(migrations.config(connection), "base")
    assert sa.inspect(engine).get_table_names() == ["serinus_schema"]
    migrations.up(engine)
    assert set(METADATA.tables) < set(sa.inspect(engine).get_table_names())


def test_a_database_of_a_newer_release_is_not_touched(engine: sa.Engine) -> None:
    with sql_engine.writing(engine, "meddling") as connection:
        connection.exec_driver_sql("UPDATE serinus_schema SET version_num = '9999'")
    with pytest.raises(Fatal, match="update this program"):
        migrations.up(engine)


def test_rows_of_a_request_are_found_where_the_database_orders_text_as_a_dictionary_does(postgres: Postgres) -> None:
    server = sa.create_engine(sql_engine.connect(postgres.url()).url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:  # one in which r10 comes before r/2, as it does in most languages of glibc
        connection.exec_driver_sql(
            "CREATE DATABASE dictionary TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US-u-ka-shifted'"
        )
    server.dispose()
    engine = sql_engine.connect(postgres.url("dictionary"))
    migrations.up(engine)
    records = SqlRecords(engine, "ns", KEY)
    records.add("a", [prediction(name) for name in ("r/0", "r/2", "r/10", "r1", "r", "R/1")])
    assert records.erase("a", ["r"]) == 4
    assert truths(records, "r1", "R/1") == [None, None]
    engine.dispose()


# --- errors ------------------------------------------------------------------------------------------------------


def test_a_database_without_tables_is_no_passing_trouble(url: str) -> None:
    engine = sql_engine.connect(url)
    with pytest.raises(Fatal, match="predictions"):
        SqlRecords(engine).find("a", ["p"])
    engine.dispose()


def test_a_file_that_is_no_database_and_one_that_may_not_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 1000)
    with pytest.raises(Fatal, match="not a database"):
        migrations.up(sql_engine.connect(f"sqlite:///{tmp_path}/text.db"))


def test_nobody_else_may_read_a_database_file(tmp_path: Path) -> None:
    engine = sql_engine.connect(f"sqlite:///{tmp_path}/deep/records.db")
    migrations.up(engine)
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "deep").iterdir()} == dict.fromkeys(
        ["records.db", "records.db-wal", "records.db-shm"], 0o600
    )
    raw = sqlite3.connect(tmp_path / "deep" / "records.db")
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    raw.close()
    engine.dispose()


@pytest.mark.parametrize("where", ["password", "database"])
def test_a_server_that_lets_nobody_in_is_away_and_no_password_is_told(postgres: Postgres, where: str) -> None:
    url = postgres.url("postgres", "hush") if where == "password" else postgres.url("nowhere")
    with pytest.raises(Unavailable) as caught:
        SqlRecords(sql_engine.connect(url)).find("a", ["p"])
    assert "127.0.0.1" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "s3:cr" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        "mysql://ann:hush@host/name",
        "postgresql://ann:hush@host:port/name",
        "hush",
        "",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_url_that_is_none_of_ours_is_told_without_it(wrong: str) -> None:
    with pytest.raises(Fatal, match=r"expected (the database as|a file for) SQLite|sqlite:////") as caught:
        sql_engine.connect(wrong)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda records: records.add("a", [prediction()]),
        lambda records: records.label("a", [label(id="p")]),
        lambda records: records.rows("a", RowsQuestion(ALWAYS)),
    ],
    ids=["add", "label", "rows"],
)
def test_a_connection_that_was_cut_is_made_anew(postgres: Postgres, ask: Callable[[SqlRecords], object]) -> None:
    engine = sql_engine.connect(postgres.fresh())
    records = SqlRecords(engine, "ns", KEY)
    records.find("a", ["p"])
    with engine.connect() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        with pytest.raises(sa.exc.OperationalError):
            connection.exec_driver_sql(others)
    ask(records)
    engine.dispose()
