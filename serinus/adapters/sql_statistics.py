"""What Postgres knows of its tables before somebody asks a question of all of their rows."""

from __future__ import annotations

import sqlalchemy as sa

from serinus.adapters import sql_engine

_UNSEEN = sa.text("""
    SELECT relname FROM pg_class
    WHERE oid = ANY(CAST(:names AS regclass[])) AND reltuples <= 0 AND pg_relation_size(oid) > 0
""")


def gather(engine: sa.Engine, *tables: sa.Table) -> None:
    """Have Postgres look at those of the tables that it has never looked at; SQLite joins by its indexes anyway.

    Postgres does that by itself, within a minute or so of the first rows. Until then it takes a table for a few rows,
    and looks up the label of each of a million predictions by itself: four times as long as to join them all at once.
    """
    if engine.dialect.name != "postgresql":
        return
    with sql_engine.reading(engine) as connection:
        unseen = connection.execute(_UNSEEN, {"names": [table.name for table in tables]}).scalars().all()
    for name in unseen:
        with sql_engine.reading(engine) as connection:
            connection.execute(sa.text(f"ANALYZE (SKIP_LOCKED) {name}"))  # nobody waits for whoever does the same
