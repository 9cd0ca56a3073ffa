"""Statements: the runs of a closed period, frozen as they were answered."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from storage.tables.column_types import NOW, Id, Instant, metadata

statements = Table(
    "statements",
    metadata,
    Column("period_id", BigInteger, ForeignKey("periods.id"), nullable=False),
    Column("run", Integer, nullable=False),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    # Its rows: those whose transaction is in `[since, until)`.
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    # The run before this one, which ended where this one begins.
    Column("previous_run", Integer),
    # What it leaves behind; of what has ended nothing is available or reserved.
    Column("available", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    # Of the license's chain, at `until`; None where nothing was ever sealed of it.
    Column("head", Text),
    # The statement as it is answered, to the byte.
    Column("document", Text, nullable=False),
    Column("frozen_at", Instant, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("period_id", "run"),
    UniqueConstraint("period_id", "run", "until"),
    ForeignKeyConstraint(
        ["period_id", "previous_run", "since"],
        ["statements.period_id", "statements.run", "statements.until"],
        name="statements_previous_run_fkey",
    ),
    CheckConstraint(
        "run >= 1 AND since < until AND CASE WHEN run = 1"
        " THEN previous_run IS NULL AND since = 0"
        " ELSE previous_run IS NOT NULL AND previous_run = run - 1 END",
        name="run",
    ),
    CheckConstraint(
        "available = 0 AND reserved = 0 AND spent >= 0 AND expired >= 0",
        name="closing",
    ),
)
