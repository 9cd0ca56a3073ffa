"""What was counted, and the history behind the charts."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Integer,
    PrimaryKeyConstraint,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.column_types import Id, Instant, metadata

counters = Table(
    "counters",
    metadata,
    Column("name", Id, nullable=False),
    # The values of its labels, in the order in which the worker declares them.
    Column("labels", JSONB, nullable=False),
    Column("value", Double(), nullable=False),
    # What the history has taken of it so far.
    Column("in_history", Double(), nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("name", "labels"),
    # Updated all the time: room for the new version beside the old one.
    postgresql_with={"fillfactor": "50"},
)

history = Table(
    "history",
    metadata,
    # Its row tells of what was from `at` on, for so long.
    Column("at", Instant, nullable=False),
    Column("width_s", Integer, nullable=False),
    # How many looks it is made of.
    Column("looks", Integer, nullable=False),
    # Sums over the time.
    Column("delivered", BigInteger, nullable=False),
    Column("excluded", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("credits_settled", BigInteger, nullable=False),
    Column("chunk_failures", BigInteger, nullable=False),
    Column("leases_expired", BigInteger, nullable=False),
    Column("fenced_writes", BigInteger, nullable=False),
    # Means of the looks.
    Column("jobs_open", Double(), nullable=False),
    Column("chunks_waiting", Double(), nullable=False),
    Column("chunks_running", Double(), nullable=False),
    Column("entries_waiting", Double(), nullable=False),
    Column("workers", Double(), nullable=False),
    # The worst of the looks.
    Column("oldest_chunk_s", Double(), nullable=False),
    Column("oldest_entry_s", Double(), nullable=False),
    PrimaryKeyConstraint("at", "width_s"),
    CheckConstraint("width_s > 0 AND looks > 0", name="width"),
)
