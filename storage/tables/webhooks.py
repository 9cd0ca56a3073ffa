"""Webhooks: events, and what became of telling them."""

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
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.column_types import NOW, Id, Instant, metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    # Encrypted; shown once, by the request that made it.
    Column("secret", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Column("deleted_at", Instant),
    Index("webhooks_license_id_idx", "license_id"),
)


replaced_secrets = Table(
    "replaced_secrets",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("webhook_id", Id, ForeignKey("webhooks.id"), nullable=False),
    # Encrypted; until then it signs beside the one that has replaced it.
    Column("secret", Text, nullable=False),
    Column("signs_until", Instant, nullable=False),
    Index("replaced_secrets_webhook_id_idx", "webhook_id"),
    Index("replaced_secrets_signs_until_idx", "signs_until"),
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


# What the house itself has found, for its operator; of no license.
operator_events = Table(
    "operator_events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("type", Text, nullable=False),
    Column("subject", Id, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    UniqueConstraint("type", "subject"),
    Index("operator_events_created_at_idx", "created_at"),
)
