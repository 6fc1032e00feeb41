"""Predictions, labels, tombstones and the audit trail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "predictions",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text()),
        sa.Column("features", sa.Text().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "id", "loop", name="predictions_pk"),
    )
    op.create_index("predictions_by_time", "predictions", ["namespace", "loop", "time"])
    some = sa.text("key IS NOT NULL")
    op.create_index(
        "predictions_by_key", "predictions", ["namespace", "loop", "key"], postgresql_where=some, sqlite_where=some
    )
    op.create_table(
        "labels",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("truth", sa.Text(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", "namespace", "loop", "kind", name="labels_pk"),
    )
    op.create_index("labels_by_time", "labels", ["loop", "at"])
    waiting = sa.text("waiting")
    op.create_index("labels_waiting", "labels", ["namespace", "loop"], postgresql_where=waiting, sqlite_where=waiting)
    op.create_table(
        "tombstones",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "loop", "kind", "hash", name="tombstones_pk"),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text(), nullable=False, unique=True),
        sa.Column("deed", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
    )
    for statement in _append_only(op.get_bind().dialect.name):
        op.execute(statement)


def _append_only(dialect: str) -> tuple[str, ...]:
    """A row of the audit trail is neither changed nor removed by mistake."""
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER audit_no_{word.lower()} BEFORE {word} ON audit"
            " BEGIN SELECT RAISE(ABORT, 'the audit trail is append only'); END"
            for word in ("UPDATE", "DELETE")
        )
    return (
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit trail is append only'; END $$",
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()",
    )


def downgrade() -> None:
    """Drop the tables, with all that is in them."""
    for table in ("audit", "tombstones", "labels", "predictions"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_append_only()")
