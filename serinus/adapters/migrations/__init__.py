"""How the collector's database came to its tables: one file a step in versions/, run by alembic when a program starts.

`up` needs no alembic.ini. Several programs may start at once: one migrates, the others wait and find it done.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from serinus.adapters import sql_engine
from serinus.errors import Fatal

_FOLDER = Path(__file__).parent


def up(engine: sa.Engine) -> None:
    """Bring the database to the newest tables. Raises Unavailable, or Fatal when a newer Serinus made it."""
    with sql_engine.writing(engine, "migrations") as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(
                "SET LOCAL statement_timeout = 0"
            )  # to fill a column of a large table takes time
        try:
            command.upgrade(config(connection), "head")
        except CommandError as error:
            raise Fatal(
                f"the database {engine.url.render_as_string(hide_password=True)}: expected tables of this version of"
                f" Serinus or an older one, got others ({error}); update this program"
            ) from None


def config(connection: sa.Connection) -> Config:
    """Alembic's configuration, for `connection`."""
    made = Config()
    made.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made
