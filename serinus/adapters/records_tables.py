"""The tables of the collector's database. `migrations/versions` makes them; a test holds the two to be the same.

Times are whole microseconds since 1970 UTC: exact, and windows are counted off by the same SQL everywhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from serinus.errors import Fatal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)

METADATA = sa.MetaData()
# In the order of their bytes: rows of a request lie side by side, and no language's rules are asked.
NAME = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
DOUBLE: sa.Double[float] = sa.Double()
DOCUMENT = sa.Text().with_variant(postgresql.JSONB(), "postgresql")  # SQLite reads JSON out of text

PREDICTIONS = sa.Table(
    "predictions",
    METADATA,
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("loop", sa.Text, nullable=False),
    sa.Column("id", NAME, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("key", NAME),  # null without one
    sa.Column("features", DOCUMENT, nullable=False),
    sa.Column("score", DOUBLE, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),  # "" of a regression
    # The id stands before the loop, so that one index also says whose an id is.
    sa.PrimaryKeyConstraint("namespace", "id", "loop", name="predictions_pk"),
    sa.Index("predictions_by_time", "namespace", "loop", "time"),
    sa.Index(
        "predictions_by_key",
        "namespace",
        "loop",
        "key",
        postgresql_where=sa.text("key IS NOT NULL"),
        sqlite_where=sa.text("key IS NOT NULL"),
    ),
)

LABELS = sa.Table(
    "labels",
    METADATA,
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("loop", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # what `name` is: id or key
    sa.Column("name", NAME, nullable=False),
    sa.Column("truth", sa.Text, nullable=False),  # as a class
    sa.Column("value", DOUBLE),  # as a number, null when it is none
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("waiting", sa.Boolean, nullable=False),  # no prediction has come for it so far
    # The name comes first, and no index begins with all the rest: a planner without statistics would read all
    # labels of the loop again for each of its predictions.
    sa.PrimaryKeyConstraint("name", "namespace", "loop", "kind", name="labels_pk"),
    sa.Index("labels_by_time", "loop", "at"),
    sa.Index(
        "labels_waiting",
        "namespace",
        "loop",
        postgresql_where=sa.text("waiting"),
        sqlite_where=sa.text("waiting"),
    ),
)

TOMBSTONES = sa.Table(
    "tombstones",
    METADATA,
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("loop", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # what was hashed: id or key
    sa.Column("hash", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("namespace", "loop", "kind", "hash", name="tombstones_pk"),
)

HALVES = sa.Table(
    "payload_halves",
    METADATA,
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("loop", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),  # request or response
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("query", sa.Text, nullable=False),  # how the payload is to be read
    sa.Column("kept", sa.BigInteger, nullable=False),  # when it came here
    sa.PrimaryKeyConstraint("namespace", "loop", "id", "side", name="payload_halves_pk"),
    sa.Index("payload_halves_by_time", "kept"),
)

AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("deed", sa.Text, nullable=False),  # canonical JSON, the bytes that the digest is over
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
)


def ticks(time: datetime) -> int:
    """A time as the tables hold it. Raises Fatal when it has no timezone."""
    if time.tzinfo is None:
        raise Fatal(f"expected a time with a timezone, got {time.isoformat()}")
    return (time - EPOCH) // _TICK


def moment(count: int) -> datetime:
    """The time that a table holds."""
    return EPOCH + count * _TICK
