"""Rows of a SQL query, through any SQLAlchemy URL whose driver is installed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from serinus.errors import DataError, Unavailable
from serinus.facts import Window
from serinus.sources.columns import Columns, typed
from serinus.sources.place import Place
from serinus.spec import Source

if TYPE_CHECKING:
    import pandas as pd

WHERE = "sql data.source.sql"


def read(source: Source, columns: Columns, window: Window, place: Place, where: str = WHERE) -> pd.DataFrame:
    """What the query gives; `:start` and `:end`, where it names them, are bound to the window's ends (UTC).

    Nothing is committed. No value from the environment and no password is ever part of an error. where: what errors
    call the source.
    """
    import pandas as pd
    import sqlalchemy

    assert source.sql is not None  # noqa: S101 - read() came here because it is set
    secrets: list[str] = []
    engine = _engine(source.sql.url, place.folder, secrets, where)
    query = sqlalchemy.text(source.sql.query)
    named = {"start": window.start, "end": window.end}
    wanted = set(query.compile().params)
    if unknown := sorted(wanted - set(named)):
        raise DataError(f"{where}.query: expected no other parameters than :start and :end, got :{', :'.join(unknown)}")
    utc = sqlalchemy.DateTime(timezone=True)
    query = query.bindparams(*(sqlalchemy.bindparam(n, v, type_=utc) for n, v in named.items() if n in wanted))
    try:
        connection = engine.connect()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise Unavailable(f"{where}.url: could not connect: {_hidden(error, secrets)}") from None
    try:
        with connection:
            frame = pd.read_sql_query(query, connection)
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise DataError(f"{where}.query: failed: {_hidden(error, secrets)}") from None
    finally:
        engine.dispose()
    return typed(frame, columns, where)


def _engine(url: str, folder: Path | None, secrets: list[str], where: str) -> Any:
    """An engine of the URL with its `${NAME}`s filled in; a relative SQLite file lies beside the ModelLoop file.

    A user name or password may hold any character: what stands before the `@` is quoted for the URL.
    """
    import sqlalchemy

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise DataError(f"{where}.url: expected the environment variable {match[1]} to be set, it is not")
        secrets.append(found)
        return quote(found, safe="") if match.start() < url.rfind("@") else found

    try:
        parsed = sqlalchemy.make_url(re.sub(r"\$\{(\w+)\}", value, url))
        secrets += [str(parsed.password or ""), quote(str(parsed.password or ""), safe="")]
        file = parsed.database
        if parsed.get_backend_name() == "sqlite" and folder is not None and file and file != ":memory:":
            parsed = parsed.set(database=str(folder.resolve() / file))
        return sqlalchemy.create_engine(parsed)
    except (sqlalchemy.exc.ArgumentError, ImportError, ValueError) as error:
        raise DataError(
            f"{where}.url: expected a SQLAlchemy URL such as postgresql+psycopg://user:${{PASSWORD}}@host/name"
            f" with its driver installed: {_hidden(error, secrets)}"
        ) from None


def _hidden(error: Exception, secrets: list[str]) -> str:
    """The first line of the error without any of `secrets`."""
    text = str(error).partition("\n")[0]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
