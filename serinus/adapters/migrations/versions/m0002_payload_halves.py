"""Requests and responses of payload loggers that wait for their other side."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "payload_halves",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("kept", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "loop", "id", "side", name="payload_halves_pk"),
    )
    op.create_index("payload_halves_by_time", "payload_halves", ["kept"])


def downgrade() -> None:
    """Drop it, with what waits in it."""
    op.drop_table("payload_halves")
