"""What must still be done, what was answered, who is told, and the directory."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
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
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pricing.findings import EmailStatus
from storage.states import EntryState
from storage.tables.base import NOW, Id, Instant, metadata, one_of

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("key", Id, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("owner", Text),
    Column("lease_until", Instant),
    Column("run_at", Instant, nullable=False, server_default=NOW),
    Column("dispatched_at", Instant),
    Column("last_error", Text),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Column("done_at", Instant),
    # A thing to be done is put here once: completion is queued once for each job.
    UniqueConstraint("topic", "key"),
    one_of("state", EntryState),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
    CheckConstraint("(state = 'done') = (done_at IS NOT NULL)", name="done"),
    Index("outbox_open_idx", "run_at", postgresql_where=text("state <> 'done'")),
    Index("outbox_done_idx", "done_at", postgresql_where=text("state = 'done'")),
)

processes = Table(
    "processes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("started_at", Instant, nullable=False, server_default=NOW),
    Column("seen_at", Instant, nullable=False, server_default=NOW),
    CheckConstraint("role IN ('worker', 'dispatcher')", name="role"),
)

directory = Table(
    "directory",
    metadata,
    Column("person_id", Id, primary_key=True),
    Column("email", Text),
    Column("email_status", Text, nullable=False),
    Column("phone", Text),
    one_of("email_status", EmailStatus),
)

requests = Table(
    "requests",
    metadata,
    # The key that asked, and the Idempotency-Key it sent: they do a thing once.
    Column("key_id", Id, nullable=False),
    Column("idempotency_key", Id, nullable=False),
    Column("digest", Text, nullable=False),
    # What the request made, written with it; the answer follows.
    Column("made", Id),
    Column("status", Integer),
    # As it was sent: JSONB would put its members in another order.
    Column("answer", Text),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("key_id", "idempotency_key"),
    CheckConstraint("(status IS NULL) = (answer IS NULL)", name="answer"),
    Index("requests_created_at_idx", "created_at"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    # Encrypted; shown once, when it was made.
    Column("secret", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Column("deleted_at", Instant),
    Index("webhooks_license_id_idx", "license_id"),
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("type", Text, nullable=False),
    # What it is about: an event happens once for each type and subject.
    Column("subject", Id, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    UniqueConstraint("type", "subject"),
    Index("events_created_at_idx", "created_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("webhook_id", Id, ForeignKey("webhooks.id"), nullable=False),
    Column("event_id", Id, ForeignKey("events.id"), nullable=False),
    Column("delivered_at", Instant),
    Column("given_up_at", Instant),
    UniqueConstraint("webhook_id", "event_id"),
    Index("deliveries_event_id_idx", "event_id"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("delivery_id", BigInteger, ForeignKey("deliveries.id"), nullable=False),
    Column("attempted_at", Instant, nullable=False, server_default=NOW),
    Column("status", Integer),
    Column("error", Text),
    Column("took_s", Float, nullable=False),
    CheckConstraint("(status IS NULL) = (error IS NOT NULL)", name="outcome"),
    Index("delivery_attempts_delivery_id_idx", "delivery_id", "id"),
)
