"""Requests and responses of payload loggers that wait for their other side."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXT = {"type_": sa.Text(), "nullable": False}


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "payload_halves",
        sa.Column("namespace", **_TEXT),
        sa.Column("loop", **_TEXT),
        sa.Column("id", **_TEXT),
        sa.Column("side", **_TEXT),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("query", **_TEXT),
        sa.Column("kept", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "loop", "id", "side", name="payload_halves_pk"),
    )
    op.create_index("payload_halves_by_time", "payload_halves", ["kept"])


def downgrade() -> None:
    """Drop it, with what waits in it."""
    op.drop_table("payload_halves")
