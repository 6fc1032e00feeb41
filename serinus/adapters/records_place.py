"""Whose rows are meant in tables that hold those of all."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True)
class Place:
    """Whose records these are, and under which key what is erased is remembered."""

    engine: sa.Engine
    namespace: str
    loop: str
    hash_key: bytes

    @property
    def lock(self) -> str:
        """What its writers take turns for."""
        return f"records/{self.namespace}/{self.loop}"

    def of(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """The rows of this place in a table."""
        return sa.and_(table.c.namespace == self.namespace, table.c.loop == self.loop)

    def beside(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """The rows of this place and of the namespace's other loops: what an index by id needs to be known."""
        return table.c.namespace == self.namespace
