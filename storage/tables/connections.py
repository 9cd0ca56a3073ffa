"""Access to CRMs: connections, consent, locks on keys, and the id map.

What was written stands here as ids and digests: names and addresses stand nowhere.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.column_types import COMPANY_OR_PERSON, NOW, Id, Instant, metadata

connections = Table(
    "connections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("connector", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'active'")),
    Column("settings", JSONB, nullable=False),
    # Encrypted, and never answered; empty once the connection was taken away.
    Column("secrets", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Column("deleted_at", Instant),
    # Of the secrets: each new pair of tokens is one more.
    Column("version", Integer, nullable=False, server_default=text("1")),
    # Somebody refreshes the tokens of this version, at the longest until then.
    Column("refreshing_until", Instant),
    # What the CRM calls the customer's account, once somebody has consented for it.
    Column("account", Text),
    CheckConstraint("state IN ('active', 'needs_reconnect')", name="state"),
    Index("connections_license_id_idx", "license_id"),
)


id_map = Table(
    "id_map",
    metadata,
    Column("connection_id", Id, ForeignKey("connections.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("our_id", Id, nullable=False),
    Column("their_id", Id, nullable=False),
    # Of all that was sent; the other is empty but for what older versions have kept.
    Column("digest", Id, nullable=False),
    Column("input_digest", Id, nullable=False),
    Column("sent_at", Instant, nullable=False),
    PrimaryKeyConstraint("connection_id", "kind", "our_id"),
    CheckConstraint(COMPANY_OR_PERSON, name="kind"),
    # What has our own id there is found by that.
    Index(
        "id_map_other_id_idx",
        "connection_id",
        "kind",
        "their_id",
        postgresql_where=text("their_id <> our_id"),
    ),
    # Of before, when white space around an id was a part of it.
    Index(
        "id_map_spaced_idx",
        "connection_id",
        "kind",
        text("holdfast_trimmed(our_id)"),
        postgresql_where=text("our_id <> holdfast_trimmed(our_id)"),
    ),
)


# Somebody was sent to a CRM's consent page; the state that comes back is used once.
authorizations = Table(
    "authorizations",
    metadata,
    Column("state_digest", Id, primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("connector", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("settings", JSONB, nullable=False),
    # The connection that is to be reconnected; none: a new one is made.
    Column("connection_id", Id, ForeignKey("connections.id")),
    # Where they are sent back to: the code is good for that address alone.
    Column("redirect_uri", Text, nullable=False),
    # Encrypted: what proves that the code is ours; empty where the CRM takes none.
    Column("verifier", Text, nullable=False),
    Column("return_url", Text),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Index("authorizations_expires_at_idx", "expires_at"),
)


# Our keys by which somebody creates a record just now, in CRMs that cannot upsert.
held_keys = Table(
    "held_keys",
    metadata,
    Column("connection_id", Id, ForeignKey("connections.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("our_id", Id, nullable=False),
    Column("owner", Id, nullable=False),
    Column("held_until", Instant, nullable=False),
    PrimaryKeyConstraint("connection_id", "kind", "our_id"),
    CheckConstraint(COMPANY_OR_PERSON, name="kind"),
)
