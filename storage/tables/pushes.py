"""Pushes: intents, claims that are unchanged, dry runs."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from pricing.plans import Item
from storage.crm_changes import Forecast
from storage.state_machine import DryRunState
from storage.tables.column_types import (
    COMPANY_OR_PERSON,
    NOW,
    Id,
    Instant,
    metadata,
    one_of,
)

# What a running chunk is about to send, kept before it is and until its batch is
# settled: a row for all that are changed alike, by columns. Where the chunk stops
# before that, a trigger takes them apart into `intents`. No foreign key names chunk or
# job: the row is written with the chunk's own, in one transaction.
intent_batches = Table(
    "intent_batches",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job_id", Id, nullable=False),
    Column("chunk_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("change", Text, nullable=False),
    # The names of the fields that are written; their values come with the record.
    Column("fields", ARRAY(Text), nullable=False),
    Column("our_ids", ARRAY(Id), nullable=False),
    # None at all where no record of the CRM is known to be written to.
    Column("their_ids", ARRAY(Id)),
    CheckConstraint(COMPANY_OR_PERSON, name="kind"),
    CheckConstraint("change IN ('created', 'updated')", name="change"),
    CheckConstraint(
        "cardinality(our_ids) > 0 AND array_position(our_ids, NULL) IS NULL"
        " AND coalesce(cardinality(their_ids), cardinality(our_ids))"
        " = cardinality(our_ids)",
        name="ids",
    ),
    Index("intent_batches_chunk_id_idx", "job_id", "chunk_id"),
)

# The same of chunks whose try has ended before it was settled: whoever runs the batch
# again does the same, whatever it finds in the CRM by then.
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
    CheckConstraint(COMPANY_OR_PERSON, name="kind"),
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
