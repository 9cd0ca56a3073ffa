"""Pushing: licenses' access to CRMs, and what is known to be there.

What was written stands here as ids and digests: names and addresses stand nowhere.
"""

from sqlalchemy import (
    ARRAY,
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

from pricing.plans import Item
from storage.states import DryRunState, Forecast
from storage.tables.base import NOW, Id, Instant, metadata, one_of

_KINDS = "kind IN ('company', 'person')"

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
    CheckConstraint(_KINDS, name="kind"),
)

id_map = Table(
    "id_map",
    metadata,
    Column("connection_id", Id, ForeignKey("connections.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("our_id", Id, nullable=False),
    Column("their_id", Id, nullable=False),
    # Of all that was sent, and of it without what was found.
    Column("digest", Id, nullable=False),
    Column("input_digest", Id, nullable=False),
    Column("sent_at", Instant, nullable=False),
    PrimaryKeyConstraint("connection_id", "kind", "our_id"),
    CheckConstraint(_KINDS, name="kind"),
    Index("id_map_their_id_idx", "connection_id", "kind", "their_id"),
    Index("id_map_our_id_idx", "our_id"),
)

# What is about to be sent, kept before it is and until its batch is settled: whoever
# runs the batch again does the same, whatever it finds in the CRM by then.
intents = Table(
    "intents",
    metadata,
    Column("job_id", Id, ForeignKey("jobs.id"), nullable=False),
    # The chunk's slice of the input, which the halves of a split chunk share.
    Column("first_line", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("our_id", Id, nullable=False),
    Column("change", Text, nullable=False),
    Column("their_id", Id),
    # The names of the fields that are written; their values come with the record.
    Column("fields", ARRAY(Text), nullable=False),
    PrimaryKeyConstraint("job_id", "first_line", "kind", "our_id"),
    CheckConstraint(_KINDS, name="kind"),
    CheckConstraint("change IN ('created', 'updated')", name="change"),
)

# Delivered without sending anything, so far: lines are written for them at the end.
unchanged_claims = Table(
    "unchanged_claims",
    metadata,
    Column("job_id", Id, ForeignKey("jobs.id"), nullable=False),
    Column("item", Id, nullable=False),
    Column("subject", Id, nullable=False),
    Column("digest", Id, nullable=False),
    PrimaryKeyConstraint("job_id", "item", "subject", "digest"),
    one_of("item", Item),
)

dry_runs = Table(
    "dry_runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    # What is asked, and the records; it makes no job.
    Column("quote_id", Id, ForeignKey("quotes.id"), nullable=False),
    Column("state", Text, nullable=False, server_default=text("'queued'")),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Column("finished_at", Instant),
    one_of("state", DryRunState),
    CheckConstraint(
        "(finished_at IS NOT NULL) = (state IN ('succeeded', 'failed'))",
        name="finished_at",
    ),
    Index("dry_runs_created_at_idx", "created_at"),
)

dry_run_items = Table(
    "dry_run_items",
    metadata,
    Column(
        "dry_run_id", Id, ForeignKey("dry_runs.id", ondelete="CASCADE"), nullable=False
    ),
    Column("record", Integer, nullable=False),
    Column("person_id", Id),
    Column("outcome", Text, nullable=False),
    Column("code", Text),
    Column("message", Text),
    PrimaryKeyConstraint("dry_run_id", "record"),
    one_of("outcome", Forecast),
)
