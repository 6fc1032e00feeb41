"""Names in the order of their bytes on Postgres, whatever language the database speaks; SQLite has no other order.

Rows of one request lie side by side then, and comparing two names costs no rules of a language. No table is written
anew, only the indexes over these columns are.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_NAMES = (("predictions", "id"), ("predictions", "key"), ("labels", "name"))


def upgrade() -> None:
    """Change the columns' collation."""
    _collate("C")


def downgrade() -> None:
    """Change it back to the database's."""
    _collate("default")


def _collate(name: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, column in _NAMES:
            op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE text COLLATE "{name}"')
