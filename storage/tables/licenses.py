"""Who pays, spends and calls: licenses, users, API keys, messages, requests."""

from sqlalchemy import (
    ARRAY,
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
from sqlalchemy.dialects.postgresql import JSONB

from pricing.permission import Role
from pricing.plans import PaymentTerm, Plan
from storage.access_scopes import Scope
from storage.tables.column_types import NOW, Id, Instant, metadata, one_of

licenses = Table(
    "licenses",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("payment_term", Text, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("features", ARRAY(Text), nullable=False),
    # How many records it earns in a round of dispatching, where others earn one.
    Column("weight", Numeric(3, 2), nullable=False, server_default=text("1")),
    Column("starts_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    # Periods are counted from here, by this term: a changed payment term starts
    # with the next period.
    Column("anchor_at", Instant, nullable=False),
    Column("anchor_term", Text, nullable=False),
    # The calendar before `anchor_at`, as long as a changed term can be changed back.
    Column("former_anchor_at", Instant),
    Column("former_anchor_term", Text),
    one_of("plan", Plan),
    one_of("payment_term", PaymentTerm),
    one_of("anchor_term", PaymentTerm),
    one_of("former_anchor_term", PaymentTerm),
    CheckConstraint(
        "(former_anchor_at IS NULL) = (former_anchor_term IS NULL)", name="former"
    ),
    CheckConstraint("credits >= 0", name="credits"),
    CheckConstraint("weight BETWEEN 0.25 AND 4", name="weight"),
    CheckConstraint("length(id) BETWEEN 1 AND 200", name="id"),
)

users = Table(
    "users",
    metadata,
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("id", Id, nullable=False),
    Column("role", Text, nullable=False),
    Column("credits_allowed", Boolean, nullable=False),
    PrimaryKeyConstraint("license_id", "id"),
    one_of("role", Role),
    CheckConstraint("length(id) BETWEEN 1 AND 200", name="id"),
)

# How a license likes its exports, by names of its own.
templates = Table(
    "templates",
    metadata,
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("name", Id, nullable=False),
    Column("export", JSONB, nullable=False),
    Column("changed_at", Instant, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("license_id", "name"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    # None: for all who look after the license.
    Column("user_id", Id),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Index("notifications_license_id_id_idx", "license_id", "id"),
    Index("notifications_created_at_idx", "created_at"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    # SHA-256 of the key, in hex; the key itself is shown once and never kept.
    Column("digest", Text, nullable=False, unique=True),
    Column("scope", Text, nullable=False),
    # None: for all licenses.
    Column("license_id", Id, ForeignKey("licenses.id")),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
    # From then on it is none any more; None: until it is revoked.
    Column("expires_at", Instant),
    # Who holds it; None: nobody is named, and it approves nothing.
    Column("person", Text),
    one_of("scope", Scope),
    CheckConstraint("length(person) BETWEEN 1 AND 200", name="person"),
)

# Sessions that were signed out, until they would have ended by themselves.
console_sign_outs = Table(
    "console_sign_outs",
    metadata,
    Column("session_id", Id, primary_key=True),
    Column("ends_at", Instant, nullable=False),
)


requests = Table(
    "requests",
    metadata,
    # The API key that asked, and the Idempotency-Key it sent.
    Column("key_id", Id, nullable=False),
    Column("idempotency_key", Id, nullable=False),
    # Whose the Idempotency-Key is: a license's id, or empty for the house. None where
    # two API keys of one license had sent the same one before it was the license's.
    Column("scope", Id),
    Column("digest", Text, nullable=False),
    # What the request made, written with it; the answer follows.
    Column("made", Id),
    Column("status", Integer),
    # As it was sent: JSONB would put its members in another order.
    Column("answer", Text),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("key_id", "idempotency_key"),
    UniqueConstraint("scope", "idempotency_key"),
    CheckConstraint("(status IS NULL) = (answer IS NULL)", name="answer"),
    Index("requests_created_at_idx", "created_at"),
    Index(
        "requests_unscoped_idx",
        "idempotency_key",
        postgresql_where=text("scope IS NULL"),
    ),
)
