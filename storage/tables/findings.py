"""What is known of persons: the directory, findings, look-ups, and their costs.

Persons stand here by id and by the digest of what they are looked up by; what they
are called stands nowhere.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from pricing.findings import EmailStatus
from storage.state_machine import LookupState
from storage.tables.column_types import NOW, Id, Instant, metadata, one_of

findings = Table(
    "findings",
    metadata,
    Column("person_id", Id, nullable=False),
    # Empty where the id alone decides.
    Column("digest", Id, nullable=False),
    Column("item", Text, nullable=False),
    Column("provider", Id, nullable=False),
    # None: asked, and not found.
    Column("value", Text),
    Column("email_status", Text),
    Column("found_at", Instant, nullable=False),
    PrimaryKeyConstraint("person_id", "digest", "item", "provider"),
    CheckConstraint("item IN ('email', 'phone')", name="item"),
    one_of("email_status", EmailStatus),
    # A status belongs to an address; of whoever objected nothing else is kept.
    CheckConstraint(
        "CASE WHEN item = 'phone' THEN email_status IS NULL "
        "WHEN email_status = 'objected' THEN value IS NULL "
        "ELSE (value IS NULL) = (email_status IS NULL) END",
        name="value",
    ),
    Index("findings_found_at_idx", "found_at"),
    Index(
        "findings_objected_idx",
        "person_id",
        postgresql_where=text("email_status = 'objected'"),
    ),
    Index(
        "findings_spaced_idx",
        text("holdfast_trimmed(person_id)"),
        postgresql_where=text("person_id <> holdfast_trimmed(person_id)"),
    ),
)

lookups = Table(
    "lookups",
    metadata,
    # It travels with the request, so that an answer finds its way back.
    Column("id", Id, primary_key=True),
    Column("provider", Id, nullable=False),
    Column("job_id", Id, ForeignKey("jobs.id"), nullable=False),
    # Whom an answer wakes.
    Column("chunk_id", BigInteger, ForeignKey("chunks.id"), nullable=False),
    # True: the answer comes later, and the request is never sent again.
    Column("deferred", Boolean, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'prepared'")),
    Column("vendor_id", Id),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Column("asked_at", Instant),
    Column("deadline", Instant, nullable=False),
    Column("ended_at", Instant),
    one_of("state", LookupState),
    CheckConstraint("state <> 'sent' OR vendor_id IS NOT NULL", name="sent"),
    CheckConstraint(
        "(state IN ('answered', 'expired')) = (ended_at IS NOT NULL)", name="ended"
    ),
    UniqueConstraint("provider", "vendor_id"),
    Index("lookups_chunk_id_idx", "chunk_id"),
    Index("lookups_ended_at_idx", "ended_at"),
    Index(
        "lookups_open_idx",
        "deadline",
        postgresql_where=text("ended_at IS NULL"),
    ),
)

lookup_items = Table(
    "lookup_items",
    metadata,
    Column(
        "lookup_id", Id, ForeignKey("lookups.id", ondelete="CASCADE"), nullable=False
    ),
    Column("provider", Id, nullable=False),
    Column("person_id", Id, nullable=False),
    Column("digest", Id, nullable=False),
    Column("item", Text, nullable=False),
    # Whether an answer is still expected.
    Column("open", Boolean, nullable=False, server_default=text("true")),
    Column("answered_at", Instant),
    PrimaryKeyConstraint("lookup_id", "person_id", "digest", "item"),
    CheckConstraint("item IN ('email', 'phone')", name="item"),
    CheckConstraint("NOT (open AND answered_at IS NOT NULL)", name="answered"),
    # Nobody is asked the same by two at once.
    Index(
        "lookup_items_asked_once_idx",
        "provider",
        "person_id",
        "digest",
        "item",
        unique=True,
        postgresql_where=text("open"),
    ),
    Index("lookup_items_person_id_idx", "person_id"),
)

provider_costs = Table(
    "provider_costs",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job_id", Id, ForeignKey("jobs.id"), nullable=False),
    Column("provider", Id, nullable=False),
    Column("answers", Integer, nullable=False),
    # In the provider's own credits, which may be parts of one.
    Column("paid", Numeric, nullable=False),
    Column("paid_at", Instant, nullable=False),
    CheckConstraint("answers > 0", name="answers"),
    CheckConstraint("paid >= 0", name="paid"),
    Index("provider_costs_job_id_idx", "job_id", "provider"),
)


directory = Table(
    "directory",
    metadata,
    Column("person_id", Id, primary_key=True),
    Column("email", Text),
    Column("email_status", Text, nullable=False),
    Column("phone", Text),
    one_of("email_status", EmailStatus),
    # Of before, when white space around an id was a part of it.
    Index(
        "directory_spaced_idx",
        text("holdfast_trimmed(person_id)"),
        postgresql_where=text("person_id <> holdfast_trimmed(person_id)"),
    ),
)
