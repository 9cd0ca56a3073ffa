"""The work: jobs, their chunks, parts and outcomes; the outbox; who is alive."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from pricing.settlement import Outcome
from storage.job_priority import Priority
from storage.state_machine import ENDED, ChunkState, EntryState, JobState
from storage.tables.column_types import (
    CHANGES_WHILE_YOUNG,
    NOW,
    ONLY_GROWS,
    Id,
    Instant,
    metadata,
    one_of,
)

jobs = Table(
    "jobs",
    metadata,
    # No job without its reservation.
    Column("id", Id, ForeignKey("reservations.job_id"), primary_key=True),
    # A quote makes one job.
    Column("quote_id", Id, ForeignKey("quotes.id"), nullable=False, unique=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("user_id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text),
    Column("state", Text, nullable=False, server_default=text("'queued'")),
    # How a job that was stopped will end, kept while it is being finished.
    Column("ending", Text),
    # A job is retried by one other.
    Column("retry_of", Id, ForeignKey("jobs.id"), unique=True),
    Column("records", Integer, nullable=False),
    Column("open_chunks", Integer, nullable=False),
    # How soon its chunks go among those of its license.
    Column("priority", SmallInteger, nullable=False, server_default=text("0")),
    # Since when a pause of more than the job holds it, where that is not said by those
    # that are: by business time.
    Column("held_since", Instant),
    # Somebody has resumed it, however many records the CRM rejects.
    Column("rejections_allowed", Boolean, nullable=False, server_default=text("false")),
    Column("waiting_reason", Text),
    Column("waiting_until", Instant),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("file_name", Text),
    # None before it is sealed, and once it was removed; the rest says what it was.
    Column("file_artifact", Text),
    Column("file_bytes", BigInteger),
    Column("file_sha256", Text),
    # False once somebody in it was erased: no file is left at the end.
    Column("keep_file", Boolean, nullable=False, server_default=text("true")),
    Column("parts_removed_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    # Where its submission stands in a trace, if one is made.
    Column("traceparent", Text),
    one_of("state", JobState),
    CheckConstraint("ending IN ('cancelled', 'failed')", name="ending"),
    CheckConstraint("kind IN ('export', 'push')", name="kind"),
    CheckConstraint("open_chunks >= 0", name="open_chunks"),
    CheckConstraint(
        f"priority BETWEEN {min(Priority):d} AND {max(Priority):d}", name="priority"
    ),
    CheckConstraint(
        "(finished_at IS NOT NULL) = "
        f"(state IN ({', '.join(repr(str(state)) for state in sorted(ENDED))}))",
        name="finished_at",
    ),
    Index("jobs_license_id_created_at_idx", "license_id", "created_at", "id"),
    Index("jobs_created_at_idx", "created_at", "id"),
    Index("jobs_user_id_created_at_idx", "user_id", "created_at", "id"),
    Index("jobs_kind_created_at_idx", "kind", "created_at", "id"),
    # Who has many jobs of one kind, and none of the other, is told so at once.
    Index("jobs_license_id_kind_idx", "license_id", "kind", "created_at", "id"),
    # Those of a state, once they are in it for good.
    Index(
        "jobs_ended_state_idx",
        "state",
        "created_at",
        "id",
        postgresql_where=text("finished_at IS NOT NULL"),
    ),
    Index(
        "jobs_license_id_ended_state_idx",
        "license_id",
        "state",
        "created_at",
        "id",
        postgresql_where=text("finished_at IS NOT NULL"),
    ),
    Index(
        "jobs_words_idx",
        text("to_tsvector('simple'::regconfig, holdfast_words(name))"),
        postgresql_using="gin",
        postgresql_where=text("name IS NOT NULL AND finished_at IS NOT NULL"),
    ),
    Index(
        "jobs_open_idx",
        "state",
        postgresql_where=text("finished_at IS NULL"),
    ),
    Index(
        "jobs_file_kept_idx",
        "finished_at",
        postgresql_where=text("file_artifact IS NOT NULL"),
    ),
    Index(
        "jobs_parts_kept_idx",
        "finished_at",
        postgresql_where=text("finished_at IS NOT NULL AND parts_removed_at IS NULL"),
    ),
    postgresql_with=CHANGES_WHILE_YOUNG,
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job_id", Id, ForeignKey("jobs.id"), nullable=False),
    # Where its lines lie in the job's input; the halves of a split chunk share them.
    Column("first_byte", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("first_line", Integer, nullable=False),
    # Positions in the job's input: work begins at `first`, stands at `cursor`.
    Column("first", Integer, nullable=False),
    Column("cursor", Integer, nullable=False),
    Column("stop", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("owner", Text),
    Column("lease_until", Instant),
    Column("run_at", Instant, nullable=False, server_default=NOW),
    Column("dispatched_at", Instant),
    # The queue of the broker that it was last handed to.
    Column("sent_to", Text, nullable=False, server_default=text("'chunks'")),
    Column("crashes", Integer, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    # Something was sent of records behind the cursor, and what became of it is not
    # known until the batch has been run again; since when.
    Column("doubted_at", Instant),
    # Where the batch ends that it is about.
    Column("doubt_stop", Integer),
    # When nobody is asked any more what became of it.
    Column("conclude_at", Instant),
    Column("delivered", Integer, nullable=False, server_default=text("0")),
    # Of those that were delivered to a CRM.
    Column("created", Integer, nullable=False, server_default=text("0")),
    Column("updated", Integer, nullable=False, server_default=text("0")),
    Column("unchanged", Integer, nullable=False, server_default=text("0")),
    Column("excluded", Integer, nullable=False, server_default=text("0")),
    Column("rejected", Integer, nullable=False, server_default=text("0")),
    Column("emails_found", Integer, nullable=False, server_default=text("0")),
    Column("phones_found", Integer, nullable=False, server_default=text("0")),
    one_of("state", ChunkState),
    CheckConstraint(
        "first_line <= first AND first <= cursor AND cursor <= stop", name="cursor"
    ),
    CheckConstraint(
        "delivered + excluded + rejected = cursor - first", name="outcomes"
    ),
    CheckConstraint("created + updated + unchanged IN (0, delivered)", name="changes"),
    CheckConstraint("state <> 'done' OR cursor = stop", name="done"),
    CheckConstraint(
        "doubted_at IS NULL OR state NOT IN ('done', 'cancelled')", name="doubt"
    ),
    CheckConstraint("(doubted_at IS NULL) = (doubt_stop IS NULL)", name="doubt_stop"),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
    UniqueConstraint("job_id", "first"),
    Index(
        "chunks_open_idx",
        "state",
        "run_at",
        postgresql_where=text("state IN ('pending', 'dispatched', 'running')"),
    ),
    # How a job stands: by state alone each job would cost as much as all together.
    Index(
        "chunks_open_job_id_idx",
        "job_id",
        "state",
        "first",
        postgresql_where=text("state IN ('pending', 'dispatched', 'running')"),
    ),
    postgresql_with=CHANGES_WHILE_YOUNG,
)

parts = Table(
    "parts",
    metadata,
    Column("job_id", Id, ForeignKey("jobs.id"), nullable=False),
    # The position of its first record: no two parts hold the same record.
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("records", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    PrimaryKeyConstraint("job_id", "position"),
    CheckConstraint("records > 0", name="records"),
)

# What became of records one by one, as it was kept before it was by batches: of jobs
# that began then. `outcomes` is a view of both.
record_outcomes = Table(
    "record_outcomes",
    metadata,
    Column("job_id", Id, nullable=False),
    Column("license_id", Id, nullable=False),
    Column("record", Integer, nullable=False),
    Column("company_id", Id, nullable=False),
    Column("person_id", Id),
    Column("outcome", Text, nullable=False),
    Column("email_found", Boolean, nullable=False),
    Column("phone_found", Boolean, nullable=False),
    Column("code", Text),
    Column("field", Text),
    Column("message", Text),
    # What was done in the CRM, and where that can be seen.
    Column("change", Text),
    Column("link", Text),
    # A record ends once.
    PrimaryKeyConstraint("job_id", "record"),
    ForeignKeyConstraint(["job_id"], ["jobs.id"]),
    one_of("outcome", Outcome),
    # One that was delivered may have a code too, where its link was refused, and one
    # that was excluded, where the CRM's owner wants it left alone.
    CheckConstraint(
        "CASE outcome WHEN 'rejected' THEN code IS NOT NULL "
        "WHEN 'unreached' THEN code IS NULL ELSE true END",
        name="code",
    ),
    CheckConstraint(
        "change IS NULL OR (outcome = 'delivered' "
        "AND change IN ('created', 'updated', 'unchanged'))",
        name="change",
    ),
    CheckConstraint(
        "(outcome = 'delivered' AND person_id IS NOT NULL) "
        "OR NOT (email_found OR phone_found)",
        name="found",
    ),
    # Exports that leave out what the license has had already look here.
    Index(
        "outcomes_delivered_idx",
        "license_id",
        "company_id",
        "person_id",
        postgresql_where=text("outcome = 'delivered'"),
    ),
    # The same of before, when white space around an id was a part of it.
    Index(
        "outcomes_spaced_idx",
        "license_id",
        text("holdfast_trimmed(company_id)"),
        text("holdfast_trimmed(person_id)"),
        postgresql_where=text(
            "outcome = 'delivered' AND (company_id <> holdfast_trimmed(company_id)"
            " OR person_id <> holdfast_trimmed(person_id))"
        ),
    ),
)

# What became of the records of a batch, by columns: a record is what stands at one
# place of each. Words of which no record has any are no array at all. No foreign key
# names the job: the row is made of its reservation's.
outcome_batches = Table(
    "outcome_batches",
    metadata,
    Column("job_id", Id, nullable=False),
    Column("reservation_id", BigInteger, nullable=False),
    Column("license_id", Id, nullable=False),
    Column("first_record", Integer, nullable=False),
    Column("last_record", Integer, nullable=False),
    Column("records", ARRAY(Integer), nullable=False),
    Column("company_ids", ARRAY(Id), nullable=False),
    Column("person_ids", ARRAY(Id), nullable=False),
    Column("outcomes", ARRAY(Text), nullable=False),
    Column("email_found", ARRAY(Boolean), nullable=False),
    Column("phone_found", ARRAY(Boolean), nullable=False),
    Column("codes", ARRAY(Text)),
    Column("fields", ARRAY(Text)),
    Column("messages", ARRAY(Text)),
    Column("changes", ARRAY(Text)),
    Column("links", ARRAY(Text)),
    PrimaryKeyConstraint("job_id", "first_record"),
    # A record ends once: within a batch they ascend, and no two batches of a job
    # overlap. A reservation is of one job, and a number of a record has 31 bits.
    ExcludeConstraint(
        (
            text(
                "int8range(reservation_id * 2147483648 + first_record,"
                " reservation_id * 2147483648 + last_record, '[]')"
            ),
            "&&",
        ),
        name="outcome_batches_records_excl",
        using="gist",
    ),
    CheckConstraint(
        "first_record = records[1]"
        " AND last_record = records[cardinality(records)]"
        " AND coalesce(cardinality(fields), cardinality(records))"
        " = cardinality(records)"
        " AND coalesce(cardinality(messages), cardinality(records))"
        " = cardinality(records)"
        " AND coalesce(cardinality(links), cardinality(records))"
        " = cardinality(records)",
        name="records",
    ),
    CheckConstraint(
        "holdfast_outcomes_are_sound(records, company_ids, person_ids, outcomes,"
        " email_found, phone_found, codes, changes)",
        name="sound",
    ),
)

# Which of a company's persons a batch has delivered: exports that leave out what the
# license has had already look here. Ids without white space around them.
delivered_companies = Table(
    "delivered_companies",
    metadata,
    Column("license_id", Id, nullable=False),
    Column("company_id", Id, nullable=False),
    Column("job_id", Id, nullable=False),
    Column("person_ids", ARRAY(Id)),
    Index("delivered_companies_idx", "license_id", "company_id"),
    postgresql_with=ONLY_GROWS,
)


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
    postgresql_with=CHANGES_WHILE_YOUNG,
)


processes = Table(
    "processes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("started_at", Instant, nullable=False, server_default=NOW),
    Column("seen_at", Instant, nullable=False, server_default=NOW),
    # Those of the broker that a worker reads, where it has said so.
    Column("queues", ARRAY(Text)),
    Column("host", Text),
    Column("pid", Integer),
    Column("version", Text),
    # What it and its children hold in memory.
    Column("rss_bytes", BigInteger),
    # Somebody wants a worker to take nothing more; since when it does not.
    Column("drain_asked_at", Instant),
    Column("draining_since", Instant),
    CheckConstraint("role IN ('worker', 'dispatcher')", name="role"),
)

# Starts of workers that have not lasted yet, or never did.
worker_starts = Table(
    "worker_starts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_at", Instant, nullable=False, server_default=NOW),
    Column("failed_at", Instant),
    Column("error", Text),
)

dropped_messages = Table(
    "dropped_messages",
    metadata,
    Column("queue", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("last_at", Instant, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("queue", "reason"),
    CheckConstraint("count > 0", name="count"),
)
