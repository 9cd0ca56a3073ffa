"""The audit: its runs, what they found, and what operators have said to that."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Table,
    Text,
    text,
)

from storage.tables.column_types import NOW, Id, Instant, metadata

audit_runs = Table(
    "audit_runs",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False, server_default=NOW),
    Column("violations", BigInteger, nullable=False),
    Index("audit_runs_finished_at_idx", "finished_at"),
)


audit_violations = Table(
    "audit_violations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # The first run that found it.
    Column("run_id", BigInteger, ForeignKey("audit_runs.id"), nullable=False),
    Column("check_name", Text, nullable=False),
    # What it is known again by: the check and its subject.
    Column("digest", Id, nullable=False),
    # As it was when it was found.
    Column("detail", Text, nullable=False),
    Column("found_at", Instant, nullable=False, server_default=NOW),
    Column("seen_at", Instant, nullable=False, server_default=NOW),
    Column("cleared_at", Instant),
    # One that comes again after it had gone is another one.
    Index(
        "audit_violations_standing_key",
        "digest",
        unique=True,
        postgresql_where=text("cleared_at IS NULL"),
    ),
)


audit_acknowledgements = Table(
    "audit_acknowledgements",
    metadata,
    Column(
        "violation_id",
        BigInteger,
        ForeignKey("audit_violations.id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("acknowledged_at", Instant, nullable=False, server_default=NOW),
    Column("acknowledged_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # The charge that was given back with it, where money had moved.
    Column("refunded_charge_id", BigInteger, ForeignKey("refunds.charge_id")),
    CheckConstraint("acknowledged_by <> '' AND reason <> ''", name="words"),
)
