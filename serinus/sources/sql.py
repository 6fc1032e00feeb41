"""Rows of a SQL query, through any SQLAlchemy URL."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from serinus.errors import DataError
from serinus.facts import Window
from serinus.sources.columns import Columns
from serinus.spec import ModelLoop

if TYPE_CHECKING:
    import pandas as pd


def read(spec: ModelLoop, columns: Columns, window: Window, folder: Path | None) -> pd.DataFrame:  # noqa: ARG001
    """What the query gives; `:start` and `:end`, where it names them, are the window's ends."""
    import pandas as pd
    import sqlalchemy

    wanted = spec.spec.data.source.sql
    assert wanted is not None  # noqa: S101
    url = re.sub(r"\$\{(\w+)\}", _secret, wanted.url)
    query = sqlalchemy.text(wanted.query)
    bounds = {"start": window.start, "end": window.end}
    named = {k: v for k, v in bounds.items() if k in query._bindparams}
    with sqlalchemy.create_engine(url).connect() as connection:
        return pd.read_sql_query(query, connection, params=named)


def _secret(match: re.Match[str]) -> str:
    value = os.environ.get(match[1])
    if value is None:
        raise DataError(f"data.source.sql.url: expected the environment variable {match[1]} to be set")
    return value
