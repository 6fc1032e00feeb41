"""SQLite and Postgres as one: how they are opened, how a transaction begins, and what their errors mean.

Writers of one name take turns (an advisory lock on Postgres, SQLite's own on a file), so whoever writes sees all that
was written before. That is what makes every outcome exact, and deadlocks impossible: a transaction has one lock.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from serinus.errors import Fatal, Retryable, Unavailable

PATIENCE = 10.0  # seconds that a statement waits for another writer, and a caller for a connection
LONGEST = 120.0  # seconds that a statement may take on Postgres; migrations may take longer
_WRITES = "serinus_writes"
# Classes of SQLSTATE that pass by themselves: connection, transaction rollback, resources, somebody's intervention,
# I/O; and a lock that did not come in time.
_PASSING = ("08", "40", "53", "57", "58", "55P03")
_SQLITE_PASSING = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_PROTOCOL,
)


def connect(url: str) -> sa.Engine:
    """An engine for `sqlite:////path/file.db` or `postgresql://user:password@host/name`; connects when it is used.

    Raises Fatal when the URL is neither.
    """
    try:
        parsed = sa.make_url(url)
        name = parsed.get_backend_name()
        if name == "sqlite":
            return _sqlite(parsed)
        if name in ("postgresql", "postgres"):
            return _postgres(parsed)
    except (sa.exc.ArgumentError, ImportError, ValueError):
        pass  # its text may hold the URL, and that a password
    raise Fatal("expected the database as sqlite:////path/to/file.db or postgresql://user:password@host/name")


def _sqlite(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise Fatal("expected a file for SQLite, as in sqlite:////path/to/file.db, got a database in memory")
    engine = sa.create_engine(
        url, connect_args={"timeout": PATIENCE, "check_same_thread": False}, pool_timeout=PATIENCE, max_overflow=10
    )

    @sa.event.listens_for(engine, "do_connect")
    def _prepare(*_: object) -> None:
        assert url.database is not None  # noqa: S101 - asked above
        file = Path(url.database)
        try:
            if not file.exists():  # it will hold what callers sent: nobody else may read it
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch(0o600)
        except OSError as error:
            raise Unavailable(f"the database {file} could not be made: {error}") from error

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, see below
        # FULL: what was acknowledged survives a cut of power; with NORMAL a WAL may lose its newest commits then.
        # secure_delete: what was erased is overwritten.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "cache_size = -16000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function("md5", 1, _md5, deterministic=True)

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        # Who first reads and then writes would be refused, had somebody else written in between.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres(url: sa.URL) -> sa.Engine:
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg2"),
        json_serializer=str,  # documents are text to us, as they are in SQLite
        json_deserializer=str,
        pool_pre_ping=True,  # a restarted server costs nobody an error
        pool_timeout=PATIENCE,
        pool_size=5,
        max_overflow=5,
        connect_args={
            "connect_timeout": 5,
            "fallback_application_name": "serinus",
            "keepalives_idle": 30,
            "tcp_user_timeout": 20_000,
            # A writer whose machine vanished must not keep its lock, nor a question that nobody waits for the server.
            "options": f"-c lock_timeout={PATIENCE:.0f}s -c statement_timeout={LONGEST:.0f}s"
            " -c idle_in_transaction_session_timeout=60s -c timezone=UTC",
        },
    )


@contextmanager
def writing(engine: sa.Engine, name: str) -> Iterator[sa.Connection]:
    """A transaction that no other writer of `name` runs beside; it is durable once the block has ended."""
    with _understood(engine), engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            digest = hashlib.blake2b(f"serinus/{name}".encode(), digest_size=8).digest()
            connection.execute(
                sa.select(sa.func.pg_advisory_xact_lock(sa.bindparam("lock", type_=sa.BigInteger))),
                {"lock": int.from_bytes(digest, "big", signed=True)},
            )
        yield connection


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that sees one state of everything and changes nothing."""
    postgres = engine.dialect.name == "postgresql"
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if postgres else {}
    with _understood(engine), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def among(engine: sa.Engine, column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether `column` is one of `values`, of which those that no database holds are none. They are one parameter."""
    values = [value for value in values if storable(value)]
    if engine.dialect.name == "postgresql":
        return column == sa.any_(sa.bindparam(None, values, postgresql.ARRAY(sa.Text)))
    return _among(column, values)


def lookup(
    connection: sa.Connection,
    column: sa.ColumnElement[str],
    values: Collection[str],
    columns: Sequence[sa.ColumnElement[Any]],
    *where: sa.ColumnElement[bool],
) -> Sequence[Any]:
    """`columns` of the rows whose `column` is one of `values` (storable ones), by an index of the column.

    Postgres looks for each value by itself. Asked for all at once it believes, as long as it has no statistics, that
    they are nearly all rows there are, and reads whatever else the question holds constant: all of a loop, each time.
    Let `where` say no more than that index needs, for the same reason.
    """
    if not values:
        return ()
    if connection.dialect.name == "postgresql":
        return _one_by_one(connection, values, columns, lambda value: column == value, where)
    return connection.execute(sa.select(*columns).where(_among(column, values), *where)).all()


def named(
    connection: sa.Connection,
    table: sa.Table,
    column: sa.ColumnElement[str],
    values: Collection[str],
    *where: sa.ColumnElement[bool],
) -> sa.ColumnElement[bool]:
    """The same rows, as a condition on `table` for who changes or deletes them."""
    if connection.dialect.name != "postgresql":
        return sa.and_(_among(column, values), *where)
    # Where a row lies; nobody else writes while we look.
    place: sa.ColumnElement[Any] = sa.literal_column(f"{table.name}.ctid")
    given = _given(values)
    found = sa.select(place.label("place")).select_from(table).where(column == given.c.value, *where)
    one = found.offset(0).correlate(given).lateral("found")
    places = sa.select(one.c.place).select_from(given.join(one, sa.true())).correlate(None)
    return place == sa.func.any(sa.func.array(places.scalar_subquery()))


def below(
    connection: sa.Connection,
    column: sa.ColumnElement[str],
    values: Collection[str],
    columns: Sequence[sa.ColumnElement[Any]],
    *where: sa.ColumnElement[bool],
) -> Sequence[Any]:
    """The same for rows whose `column` is `{value}/` and something. On Postgres it is one in the order of bytes."""
    if not values:
        return ()

    def begins(value: Any) -> sa.ColumnElement[bool]:
        # 0 comes behind / at once.
        return sa.and_(column >= value.op("||")("/"), column < value.op("||")("0"))

    if connection.dialect.name == "postgresql":
        return _one_by_one(connection, values, columns, begins, where)
    query = sa.select(*columns).where(begins(sa.bindparam("value", type_=sa.Text)), *where)
    return [row for value in values for row in connection.execute(query, {"value": value})]


def _one_by_one(
    connection: sa.Connection,
    values: Collection[str],
    columns: Sequence[sa.ColumnElement[Any]],
    matches: Callable[[Any], sa.ColumnElement[bool]],
    where: Sequence[sa.ColumnElement[bool]],
) -> Sequence[Any]:
    given = _given(values)
    # With an OFFSET it is planned by itself.
    found = sa.select(*columns).where(matches(given.c.value), *where).offset(0).lateral("found")
    return connection.execute(sa.select(*found.c).select_from(given.join(found, sa.true()))).all()


def _among(column: sa.ColumnElement[str], values: Collection[str]) -> sa.ColumnElement[bool]:
    """Whether `column` is one of `values`, on SQLite."""
    return column.in_(sa.select(sa.func.json_each(_document(values)).table_valued("value").c.value))


def _given(values: Collection[str]) -> sa.TableValuedAlias:
    """`values` as rows with the one column `value`, on Postgres."""
    each = sa.func.json_array_elements_text(sa.cast(_document(values), postgresql.JSON)).table_valued("value")
    return each.render_derived("given")


def _document(values: Collection[str]) -> sa.BindParameter[str]:
    return sa.bindparam(None, orjson.dumps(list(values)).decode(), sa.Text)


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows, which have a value for every column of the table, by one statement.

    Postgres gets them as one JSON document: a million rows take 13 s of processor, 43 s as a long list of VALUES, and
    12 s by COPY, past SQLAlchemy. SQLite gets them past SQLAlchemy's parameters, which cost as much as the rest.
    """
    names = [column.name for column in table.c]
    if connection.dialect.name != "postgresql":
        if rows:
            statement = str(sa.insert(table).compile(dialect=connection.dialect))
            connection.exec_driver_sql(statement, list(map(itemgetter(*names), rows)))
        return
    document = sa.cast(sa.bindparam(None, orjson.dumps(list(rows)).decode(), sa.Text), postgresql.JSON)
    # A JSON column's value is text in the document, and becomes JSON behind it.
    json = {c.name for c in table.c if isinstance(c.type.dialect_impl(connection.dialect), postgresql.JSON)}
    columns = [sa.column(c.name, sa.Text() if isinstance(c.type, sa.Text) else c.type) for c in table.c]
    given = sa.func.json_to_recordset(document).table_valued(*columns).render_derived(with_types=True)
    values = [sa.cast(given.c[c.name], c.type) if c.name in json else given.c[c.name] for c in table.c]
    connection.execute(sa.insert(table).from_select(names, sa.select(*values)))


def storable(text: str) -> bool:
    """Whether a database can hold the text: Postgres takes no zero bytes, nobody takes half a character."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def overwrite(engine: sa.Engine) -> None:
    """Let go of old copies of what was deleted: SQLite's log, unless somebody reads it now; Postgres vacuums itself."""
    if engine.dialect.name == "sqlite":
        with _understood(engine), engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - asked above
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _understood(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise _ours(engine, error) from None  # SQLAlchemy's own text shows statements and what they were given


def _ours(engine: sa.Engine, error: sa.exc.SQLAlchemyError) -> Fatal | Retryable:
    where = f"the database {engine.url.render_as_string(hide_password=True)}"
    if isinstance(error, sa.exc.TimeoutError):
        return Unavailable(f"{where}: all connections are in use")
    if not isinstance(error, sa.exc.DBAPIError):
        return Fatal(f"{where}: {type(error).__name__}: {_first_line(engine, error)}")
    text = f"{where}: {_first_line(engine, error.orig or error)}"
    return Unavailable(text) if error.connection_invalidated or _passes(error.orig) else Fatal(text)


def _passes(error: Any) -> bool:
    if isinstance(error, sqlite3.Error):
        return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _SQLITE_PASSING
    state = getattr(error, "pgcode", None)
    if state is None:  # it never reached a server, or lost it
        return type(error).__name__ in ("OperationalError", "InterfaceError")
    return str(state).startswith(_PASSING)


def _first_line(engine: sa.Engine, error: BaseException) -> str:
    line = str(error).strip().partition("\n")[0]
    return line.replace(str(engine.url.password), "***") if engine.url.password else line


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
