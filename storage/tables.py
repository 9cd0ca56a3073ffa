"""Every table with its constraints: if it must never happen, one of them says so.

Ids that clients choose are compared exactly, byte by byte, hence the collation
"C". Instants are `timestamptz`; whole numbers of credits are `bigint`. Triggers and
functions stand in `guards`, which the migrations repeat word for word.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pricing.findings import EmailLevel, EmailStatus, OnlyWith
from pricing.permission import Role
from pricing.plans import Item, PaymentTerm, Plan
from pricing.settlement import Outcome, Rule
from storage.states import ENDED, ChunkState, EntryState, JobState

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)

_Id = Text(collation="C")  # compared byte by byte: exact, and fast in an index
_Instant = DateTime(timezone=True)
_NOW = func.clock_timestamp()


def _one_of(
    column: str, values: type[str], *, name: str | None = None
) -> CheckConstraint:
    """Hold a column to the members of an enum of strings."""
    members = ", ".join(f"'{value}'" for value in values)  # type: ignore[attr-defined]
    return CheckConstraint(f"{column} IN ({members})", name=name or column)


licenses = Table(
    "licenses",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("payment_term", Text, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("features", ARRAY(Text), nullable=False),
    Column("starts_at", _Instant, nullable=False),
    Column("created_at", _Instant, nullable=False, server_default=_NOW),
    _one_of("plan", Plan),
    _one_of("payment_term", PaymentTerm),
    CheckConstraint("credits >= 0", name="credits"),
    CheckConstraint("length(id) BETWEEN 1 AND 200", name="id"),
)

users = Table(
    "users",
    metadata,
    Column("license_id", _Id, ForeignKey("licenses.id"), nullable=False),
    Column("id", _Id, nullable=False),
    Column("role", Text, nullable=False),
    Column("credits_allowed", Boolean, nullable=False),
    PrimaryKeyConstraint("license_id", "id"),
    _one_of("role", Role),
    CheckConstraint("length(id) BETWEEN 1 AND 200", name="id"),
)

# -- The ledger ---------------------------------------------------------------

periods = Table(
    "periods",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("license_id", _Id, ForeignKey("licenses.id"), nullable=False),
    Column("starts_at", _Instant, nullable=False),
    Column("ends_at", _Instant, nullable=False),
    Column("granted", BigInteger, nullable=False, server_default=text("0")),
    Column("reserved", BigInteger, nullable=False, server_default=text("0")),
    Column("spent", BigInteger, nullable=False, server_default=text("0")),
    Column("expired", BigInteger, nullable=False, server_default=text("0")),
    Column("ended_at", _Instant),
    # Whoever needs a period first opens it; all others find it.
    UniqueConstraint("license_id", "starts_at"),
    CheckConstraint("starts_at < ends_at", name="length"),
    CheckConstraint(
        "granted >= 0 AND reserved >= 0 AND spent >= 0 AND expired >= 0",
        name="counters",
    ),
    CheckConstraint("granted - reserved - spent - expired >= 0", name="available"),
    CheckConstraint(
        "ended_at IS NULL OR granted - reserved - spent - expired = 0",
        name="ended",
    ),
    # Nothing expires before its period has ended.
    CheckConstraint("ended_at IS NOT NULL OR expired = 0", name="expired"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("license_id", _Id, ForeignKey("licenses.id"), nullable=False),
    Column("period_id", BigInteger, ForeignKey("periods.id"), nullable=False),
    Column("job_id", _Id, nullable=False, unique=True),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("amount", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False, server_default=text("0")),
    Column("released", BigInteger, nullable=False, server_default=text("0")),
    Column("deadline_at", _Instant, nullable=False),
    Column("created_at", _Instant, nullable=False, server_default=_NOW),
    Column("closed_at", _Instant),
    CheckConstraint("state IN ('open', 'closed')", name="state"),
    CheckConstraint("amount >= 0 AND settled >= 0 AND released >= 0", name="counters"),
    # The guarantee: what a job costs never exceeds what its quote reserved.
    CheckConstraint("settled + released <= amount", name="guarantee"),
    CheckConstraint(
        "(state = 'open' AND released = 0 AND closed_at IS NULL) OR "
        "(state = 'closed' AND settled + released = amount"
        " AND closed_at IS NOT NULL)",
        name="closed",
    ),
    Index(
        "reservations_open_idx", "period_id", postgresql_where=text("state = 'open'")
    ),
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("license_id", _Id, ForeignKey("licenses.id"), nullable=False),
    Column("period_id", BigInteger, ForeignKey("periods.id"), nullable=False),
    Column("reservation_id", BigInteger, ForeignKey("reservations.id")),
    Column("kind", Text, nullable=False),
    Column("from_account", Text, nullable=False),
    Column("to_account", Text, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("reference", Text),
    Column("created_at", _Instant, nullable=False, server_default=_NOW),
    CheckConstraint("credits > 0", name="credits"),
    CheckConstraint(
        "(kind, from_account, to_account) IN ("
        "('grant', 'outside', 'available'), "
        "('reserve', 'available', 'reservation'), "
        "('settle', 'reservation', 'spent'), "
        "('release', 'reservation', 'available'), "
        "('expire', 'available', 'expired'), "
        "('refund', 'spent', 'available'))",
        name="kind",
    ),
    CheckConstraint(
        "(kind IN ('reserve', 'settle', 'release')) = (reservation_id IS NOT NULL)",
        name="reservation",
    ),
    CheckConstraint(
        "(kind IN ('grant', 'refund')) = (reference IS NOT NULL)", name="reference"
    ),
    Index("transfers_period_id_idx", "period_id"),
    Index(
        "transfers_grant_idx",
        "license_id",
        "reference",
        unique=True,
        postgresql_where=text("kind = 'grant'"),
    ),
    Index(
        "transfers_reservation_once_idx",
        "reservation_id",
        "kind",
        unique=True,
        postgresql_where=text("kind IN ('reserve', 'release')"),
    ),
    Index("transfers_reservation_id_idx", "reservation_id"),
)

charge_ids = Sequence("charges_id_seq", metadata=metadata, data_type=BigInteger)

charges = Table(
    "charges",
    metadata,
    # Drawn by the settling statement itself: an entitlement names its payer.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("license_id", _Id, nullable=False),
    Column("period_id", BigInteger, nullable=False),
    Column("reservation_id", BigInteger, nullable=False),
    Column("job_id", _Id, nullable=False),
    Column("user_id", _Id, nullable=False),
    Column("item", _Id, nullable=False),
    Column("subject", _Id, nullable=False),
    Column("digest", _Id, nullable=False),
    Column("credits", Integer, nullable=False),
    Column("rule", _Id, nullable=False),
    Column("paid_by", BigInteger),
    Column("charged_at", _Instant, nullable=False),
    # The idempotency key: a delivered claim is settled once, whoever repeats it.
    UniqueConstraint("job_id", "item", "subject", "digest"),
    _one_of("item", Item),
    _one_of("rule", Rule),
    CheckConstraint("credits >= 0", name="credits"),
    CheckConstraint("(rule = 'price') = (credits > 0)", name="priced"),
    CheckConstraint("rule <> 'price' OR paid_by IS NULL", name="payer"),
    CheckConstraint("rule <> 'paid_meanwhile' OR paid_by IS NOT NULL", name="paid_by"),
    Index("charges_license_id_id_idx", "license_id", "id"),
    # Settling asks for these before each batch, and mostly there are none.
    Index(
        "charges_unchanged_idx",
        "job_id",
        "item",
        "subject",
        "digest",
        postgresql_where=text("rule = 'unchanged'"),
    ),
    Index(
        "charges_paid_by_idx", "paid_by", postgresql_where=text("paid_by IS NOT NULL")
    ),
)

refunds = Table(
    "refunds",
    metadata,
    # A charge is refunded once, in full.
    Column("charge_id", BigInteger, ForeignKey("charges.id"), primary_key=True),
    Column("license_id", _Id, ForeignKey("licenses.id"), nullable=False),
    Column("period_id", BigInteger, ForeignKey("periods.id"), nullable=False),
    Column("job_id", _Id, nullable=False),
    Column("credits", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("refunded_at", _Instant, nullable=False),
    CheckConstraint("credits > 0", name="credits"),
    Index("refunds_period_id_idx", "period_id"),
    Index("refunds_job_id_idx", "job_id"),
)

entitlements = Table(
    "entitlements",
    metadata,
    Column("license_id", _Id, nullable=False),
    Column("item", _Id, nullable=False),
    Column("subject", _Id, nullable=False),
    Column("digest", _Id, nullable=False),
    # The charge that it was last settled as, whoever paid; none after a view alone.
    Column("settled_as", BigInteger),
    # The charge that paid; none once that has been refunded.
    Column("paid_by", BigInteger),
    Column("exported_at", _Instant),
    Column("viewed_at", _Instant),
    PrimaryKeyConstraint("license_id", "item", "subject", "digest"),
    _one_of("item", Item),
    postgresql_with={"fillfactor": "90"},
)

# -- Quotes and jobs ----------------------------------------------------------

quotes = Table(
    "quotes",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("license_id", _Id, ForeignKey("licenses.id"), nullable=False),
    Column("user_id", _Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("retrieve", ARRAY(Text), nullable=False),
    Column("email_level", Text, nullable=False),
    Column("only_with", Text),
    Column("export", JSONB(none_as_null=True)),
    Column("terms", JSONB, nullable=False),
    Column("quoted_at", _Instant, nullable=False),
    Column("expires_at", _Instant, nullable=False),
    Column("max_credits", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("fits_records", Integer, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("changed", JSONB, nullable=False),
    Column("records", Integer, nullable=False),
    Column("companies", Integer, nullable=False),
    Column("persons", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("input", Text, nullable=False),
    Column("columns", ARRAY(Text), nullable=False),
    Column("slices", JSONB, nullable=False),
    CheckConstraint("kind IN ('export', 'push')", name="kind"),
    _one_of("email_level", EmailLevel),
    _one_of("only_with", OnlyWith),
    CheckConstraint("max_credits >= 0", name="max_credits"),
)

jobs = Table(
    "jobs",
    metadata,
    # No job without its reservation.
    Column("id", _Id, ForeignKey("reservations.job_id"), primary_key=True),
    # A quote makes one job.
    Column("quote_id", _Id, ForeignKey("quotes.id"), nullable=False, unique=True),
    Column("license_id", _Id, ForeignKey("licenses.id"), nullable=False),
    Column("user_id", _Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text),
    Column("state", Text, nullable=False, server_default=text("'queued'")),
    # How a job that was stopped will end, kept while it is being finished.
    Column("ending", Text),
    Column("retry_of", _Id, ForeignKey("jobs.id")),
    Column("records", Integer, nullable=False),
    Column("open_chunks", Integer, nullable=False),
    Column("waiting_reason", Text),
    Column("waiting_until", _Instant),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("file_name", Text),
    Column("file_artifact", Text),
    Column("file_bytes", BigInteger),
    Column("file_sha256", Text),
    Column("created_at", _Instant, nullable=False),
    Column("started_at", _Instant),
    Column("finished_at", _Instant),
    _one_of("state", JobState),
    CheckConstraint("ending IN ('cancelled', 'failed')", name="ending"),
    CheckConstraint("kind IN ('export', 'push')", name="kind"),
    CheckConstraint("open_chunks >= 0", name="open_chunks"),
    CheckConstraint(
        "(finished_at IS NOT NULL) = "
        f"(state IN ({', '.join(repr(str(state)) for state in sorted(ENDED))}))",
        name="finished_at",
    ),
    Index("jobs_license_id_created_at_idx", "license_id", "created_at", "id"),
    Index("jobs_created_at_idx", "created_at", "id"),
    Index(
        "jobs_open_idx",
        "state",
        postgresql_where=text("finished_at IS NULL"),
    ),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job_id", _Id, ForeignKey("jobs.id"), nullable=False),
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
    Column("lease_until", _Instant),
    Column("run_at", _Instant, nullable=False, server_default=_NOW),
    Column("dispatched_at", _Instant),
    Column("crashes", Integer, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Column("delivered", Integer, nullable=False, server_default=text("0")),
    Column("excluded", Integer, nullable=False, server_default=text("0")),
    Column("rejected", Integer, nullable=False, server_default=text("0")),
    Column("emails_found", Integer, nullable=False, server_default=text("0")),
    Column("phones_found", Integer, nullable=False, server_default=text("0")),
    _one_of("state", ChunkState),
    CheckConstraint(
        "first_line <= first AND first <= cursor AND cursor <= stop", name="cursor"
    ),
    CheckConstraint(
        "delivered + excluded + rejected = cursor - first", name="outcomes"
    ),
    CheckConstraint("state <> 'done' OR cursor = stop", name="done"),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
    UniqueConstraint("job_id", "first"),
    Index(
        "chunks_open_idx",
        "state",
        "run_at",
        postgresql_where=text("state IN ('pending', 'dispatched', 'running')"),
    ),
)

parts = Table(
    "parts",
    metadata,
    Column("job_id", _Id, ForeignKey("jobs.id"), nullable=False),
    # The position of its first record: no two parts hold the same record.
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("records", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    PrimaryKeyConstraint("job_id", "position"),
    CheckConstraint("records > 0", name="records"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("job_id", _Id, nullable=False),
    Column("record", Integer, nullable=False),
    Column("company_id", _Id, nullable=False),
    Column("person_id", _Id),
    Column("outcome", Text, nullable=False),
    Column("email_found", Boolean, nullable=False),
    Column("phone_found", Boolean, nullable=False),
    Column("code", Text),
    Column("field", Text),
    Column("message", Text),
    # A record ends once.
    PrimaryKeyConstraint("job_id", "record"),
    ForeignKeyConstraint(["job_id"], ["jobs.id"]),
    _one_of("outcome", Outcome),
    CheckConstraint("(outcome = 'rejected') = (code IS NOT NULL)", name="rejected"),
    CheckConstraint(
        "(outcome = 'delivered' AND person_id IS NOT NULL) "
        "OR NOT (email_found OR phone_found)",
        name="found",
    ),
)

# -- What must still be done, and who does it ---------------------------------

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("key", _Id, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("owner", Text),
    Column("lease_until", _Instant),
    Column("run_at", _Instant, nullable=False, server_default=_NOW),
    Column("dispatched_at", _Instant),
    Column("last_error", Text),
    Column("created_at", _Instant, nullable=False, server_default=_NOW),
    Column("done_at", _Instant),
    # A thing to be done is put here once: completion is queued once for each job.
    UniqueConstraint("topic", "key"),
    _one_of("state", EntryState),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
    CheckConstraint("(state = 'done') = (done_at IS NOT NULL)", name="done"),
    Index("outbox_open_idx", "run_at", postgresql_where=text("state <> 'done'")),
)

processes = Table(
    "processes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("started_at", _Instant, nullable=False, server_default=_NOW),
    Column("seen_at", _Instant, nullable=False, server_default=_NOW),
    CheckConstraint("role IN ('worker', 'dispatcher')", name="role"),
)

directory = Table(
    "directory",
    metadata,
    Column("person_id", _Id, primary_key=True),
    Column("email", Text),
    Column("email_status", Text, nullable=False),
    Column("phone", Text),
    _one_of("email_status", EmailStatus),
)
