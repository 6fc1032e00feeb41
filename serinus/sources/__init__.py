"""The room of data sources: one file each and one line in TABLE. Which rows there are and in what form lives here;
whether they are good enough (steps/check.py) does not.
"""

from __future__ import annotations

from serinus.sources import files, production, python, sql
from serinus.sources.place import Place
from serinus.sources.reading import Read, describe, read
from serinus.sources.snapshot import open_snapshot, snapshot

TABLE: dict[str, Read] = {
    "files": files.read,
    "sql": sql.read,
    "python": python.read,
    "production": production.read,
}

__all__ = ["TABLE", "Place", "Read", "describe", "open_snapshot", "read", "snapshot"]
