"""The chain: seals over the rows of money, and what they need to be checked again.

It holds ids, counts and credits alone. No row is ever changed or removed, but for the
salt of a text that is erased.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from storage.tables.column_types import NOW, Id, Instant, metadata

_COUNTS = ("charges", "refunds", "transfers")

# The house's chain: one run each minute, however little was written meanwhile.
chain_runs = Table(
    "chain_runs",
    metadata,
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    # Which columns of which tables are sealed, and how.
    Column("format", SmallInteger, nullable=False),
    # Sealed is what was written by the transactions from the one to below the other.
    Column("from_transaction", BigInteger, nullable=False),
    Column("to_transaction", BigInteger, nullable=False),
    Column("era", Integer, nullable=False),
    # The server that the rows were sealed on: a backup is restored on another.
    Column("system_identifier", BigInteger, nullable=False),
    *(Column(table, BigInteger, nullable=False) for table in _COUNTS),
    # How many licenses have a link in this run.
    Column("links", Integer, nullable=False),
    # By which of the keys: those stand outside of the database.
    Column("key_id", Id, nullable=False),
    Column("previous_head", LargeBinary, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("sealed_at", Instant, nullable=False),
    CheckConstraint("from_transaction <= to_transaction", name="bounds"),
)

# A license's chain: a link in each run that has rows of it.
chain_links = Table(
    "chain_links",
    metadata,
    Column("license_id", Id, nullable=False),
    Column("run", BigInteger, ForeignKey("chain_runs.n"), nullable=False),
    # Which link of the license's it is, from 1.
    Column("position", BigInteger, nullable=False),
    *(Column(table, BigInteger, nullable=False) for table in _COUNTS),
    # Two sums over the rows of each table: they tell which row is another one now.
    Column("locators", LargeBinary, nullable=False),
    Column("previous_head", LargeBinary, nullable=False),
    Column("head", LargeBinary, nullable=False),
    PrimaryKeyConstraint("license_id", "run"),
    UniqueConstraint("license_id", "position"),
    CheckConstraint("charges + refunds + transfers > 0", name="rows"),
    Index("chain_links_run_idx", "run"),
)

# What people wrote beside money is sealed as a salted digest: so it can be erased.
chain_texts = Table(
    "chain_texts",
    metadata,
    Column("table_name", Id, nullable=False),
    Column("row_id", BigInteger, nullable=False),
    # None once the text is erased: then nobody can try words against the digest.
    Column("salt", LargeBinary),
    Column("digest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("table_name", "row_id"),
)

chain_erasures = Table(
    "chain_erasures",
    metadata,
    Column("table_name", Id, nullable=False),
    Column("row_id", BigInteger, nullable=False),
    Column("erased_at", Instant, nullable=False),
    Column("key_id", Id, nullable=False),
    # By the key: nobody erases by hand what does not suit them.
    Column("seal", LargeBinary, nullable=False),
    PrimaryKeyConstraint("table_name", "row_id"),
)

# What looking through the whole chain has found.
chain_checks = Table(
    "chain_checks",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False, server_default=NOW),
    # The last run that it has seen; 0 where there was none.
    Column("run", BigInteger, nullable=False),
    Column("breaks", BigInteger, nullable=False),
    # The first of them, in words.
    Column("first_break", Text),
    CheckConstraint("(breaks = 0) = (first_break IS NULL)", name="first_break"),
    Index("chain_checks_finished_at_idx", "finished_at"),
)
