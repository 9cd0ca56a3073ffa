"""Reconciliations: how far each has come, and what it found to differ."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.column_types import NOW, Id, Instant, metadata

reconciliations = Table(
    "reconciliations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # As it was asked for: a month, a period's start, or "open".
    Column("period", Text, nullable=False),
    # None: of all licenses.
    Column("license_id", Id, ForeignKey("licenses.id")),
    Column("nightly", Boolean, nullable=False, server_default=text("false")),
    Column("state", Text, nullable=False, server_default=text("'queued'")),
    # Where it goes on after a kill: a period, and a reservation in it.
    Column("cursor_period", BigInteger, nullable=False, server_default=text("0")),
    Column("cursor_reservation", BigInteger, nullable=False, server_default=text("0")),
    Column("periods", Integer, nullable=False, server_default=text("0")),
    Column("jobs", BigInteger, nullable=False, server_default=text("0")),
    Column("charges", BigInteger, nullable=False, server_default=text("0")),
    Column("recomputed", BigInteger, nullable=False, server_default=text("0")),
    Column("not_recomputable", BigInteger, nullable=False, server_default=text("0")),
    Column("differences", BigInteger, nullable=False, server_default=text("0")),
    # Seconds of work, without pauses.
    Column("worked_s", Float, nullable=False, server_default=text("0")),
    Column("error", Text),
    Column("owner", Text),
    Column("lease_until", Instant),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name="state"),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
    CheckConstraint(
        "(state IN ('done', 'failed')) = (finished_at IS NOT NULL)", name="finished"
    ),
    # One runs at a time, whoever started it.
    Index(
        "reconciliations_running_key",
        text("(true)"),
        unique=True,
        postgresql_where=text("state = 'running'"),
    ),
    Index(
        "reconciliations_finished_at_idx",
        "finished_at",
        postgresql_where=text("state = 'done'"),
    ),
)

reconciliation_findings = Table(
    "reconciliation_findings",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "reconciliation_id",
        BigInteger,
        ForeignKey("reconciliations.id"),
        nullable=False,
    ),
    # A difference, or what could not be recomputed.
    Column("kind", Text, nullable=False),
    Column("license_id", Id, nullable=False),
    Column("job_id", Id),
    Column("record", Integer),
    Column("charge_id", BigInteger),
    # What was compared, and the row that it is about.
    Column("place", Text, nullable=False),
    Column("row_id", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("found", Text, nullable=False),
    # Charges that it is about, where it is not about one.
    Column("charges", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("kind IN ('difference', 'not_recomputable')", name="kind"),
    Index("reconciliation_findings_idx", "reconciliation_id", "kind", "id"),
)

# What was read of an ended job when it was first reconciled, as a digest: whatever
# is changed of it afterwards shows, also where nothing else says what it was.
reconciled_jobs = Table(
    "reconciled_jobs",
    metadata,
    Column("job_id", Id, nullable=False),
    Column("reconciliation_id", BigInteger, nullable=False),
    # What is read, and how: another version is another digest.
    Column("version", Integer, nullable=False),
    Column("digest", JSONB, nullable=False),
    PrimaryKeyConstraint("job_id", "version"),
)
