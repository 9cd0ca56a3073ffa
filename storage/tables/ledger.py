"""Credits: periods, reservations, transfers, charges, refunds, entitlements."""

from sqlalchemy import (
    ARRAY,
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
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from pricing.plans import Item
from pricing.settlement import Rule
from storage.tables.column_types import (
    CHANGES_WHILE_YOUNG,
    NOW,
    ONLY_GROWS,
    Id,
    Instant,
    metadata,
    one_of,
    transaction_column,
    transaction_index,
)

business_clock = Table(
    "business_clock",
    metadata,
    # One row: what all processes believe of the database's clock.
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    # Business time is the clock plus this.
    Column("offset_s", Float, nullable=False, server_default=text("0")),
    # The highest instant of the clock that was accepted.
    Column("trusted_at", Instant, nullable=False, server_default=NOW),
    # Since when the clock is not believed, and by how much it is ahead.
    Column("held_since", Instant),
    Column("ahead_s", Float, nullable=False, server_default=text("0")),
    # How often trust has begun anew, maybe at an earlier instant.
    Column("turn", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("id", name="one_row"),
    # A century; "not a number" counts as more than any number.
    CheckConstraint("offset_s BETWEEN -3.2e9 AND 3.2e9", name="offset"),
)

periods = Table(
    "periods",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("granted", BigInteger, nullable=False, server_default=text("0")),
    Column("reserved", BigInteger, nullable=False, server_default=text("0")),
    Column("spent", BigInteger, nullable=False, server_default=text("0")),
    Column("expired", BigInteger, nullable=False, server_default=text("0")),
    Column("ended_at", Instant),
    # How often it was taken up again after it had been ended wrongly.
    Column("reopened", Integer, nullable=False, server_default=text("0")),
    # Since when, and by which transaction, only refunds move anything in it.
    Column("closed_at", Instant),
    Column("closed_in", BigInteger),
    # What its last frozen statement leaves spent: where that is not so any more, the
    # next one is due. No index knows it, so that spending stays as cheap as it was.
    Column("stated_spent", BigInteger),
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
    CheckConstraint(
        "(closed_at IS NULL) = (closed_in IS NULL)"
        " AND (closed_at IS NULL OR (ended_at IS NOT NULL AND reserved = 0))"
        " AND (stated_spent IS NULL OR closed_at IS NOT NULL)",
        name="closed",
    ),
    # Nothing expires before its period has ended.
    CheckConstraint("ended_at IS NOT NULL OR expired = 0", name="expired"),
    # Those that are to be ended are looked for all the time.
    Index("periods_open_idx", "ends_at", postgresql_where=text("ended_at IS NULL")),
    postgresql_with=CHANGES_WHILE_YOUNG,
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("period_id", BigInteger, ForeignKey("periods.id"), nullable=False),
    Column("job_id", Id, nullable=False, unique=True),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("amount", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False, server_default=text("0")),
    Column("released", BigInteger, nullable=False, server_default=text("0")),
    Column("deadline_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    Column("closed_at", Instant),
    # How far ahead each settling moves the deadline.
    Column("lifetime_s", Float, nullable=False),
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
    # A period's jobs, in an order that is kept from one look to the next.
    Index("reservations_period_id_idx", "period_id", "id"),
    postgresql_with=CHANGES_WHILE_YOUNG,
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("period_id", BigInteger, ForeignKey("periods.id"), nullable=False),
    Column("reservation_id", BigInteger, ForeignKey("reservations.id")),
    Column("kind", Text, nullable=False),
    Column("from_account", Text, nullable=False),
    Column("to_account", Text, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("reference", Text),
    Column("created_at", Instant, nullable=False, server_default=NOW),
    transaction_column(),
    CheckConstraint("credits > 0", name="credits"),
    CheckConstraint(
        "(kind, from_account, to_account) IN ("
        "('grant', 'outside', 'available'), "
        "('reserve', 'available', 'reservation'), "
        "('settle', 'reservation', 'spent'), "
        "('view', 'available', 'spent'), "
        "('release', 'reservation', 'available'), "
        "('expire', 'available', 'expired'), "
        "('reopen', 'expired', 'available'), "
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
    transaction_index("transfers"),
    postgresql_with=ONLY_GROWS,
)

charge_ids = Sequence("charges_id_seq", metadata=metadata, data_type=BigInteger)

charges = Table(
    "charges",
    metadata,
    # Drawn by the settling statement itself: an entitlement names its payer.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("license_id", Id, nullable=False),
    Column("period_id", BigInteger, nullable=False),
    # A job's charge has its reservation; a view's has neither, but `view_id`.
    Column("reservation_id", BigInteger),
    Column("job_id", Id),
    Column("user_id", Id, nullable=False),
    Column("item", Id, nullable=False),
    Column("subject", Id, nullable=False),
    Column("digest", Id, nullable=False),
    Column("credits", Integer, nullable=False),
    Column("rule", Id, nullable=False),
    Column("paid_by", BigInteger),
    Column("charged_at", Instant, nullable=False),
    Column("view_id", Id),
    # Of a view: since when a use would have freed it. A job's quote says it for its.
    Column("free_since", Instant),
    # Who found what is charged for; None where nobody had to.
    Column("provider", Id),
    # Of an id that the directory knew: the other digest that it was settled under.
    Column("also_digest", Id),
    # Of a view that cost nothing: what it was answered, for whoever asks again.
    Column("free_because", Id),
    transaction_column(),
    # The idempotency key: a delivered claim is settled once, whoever repeats it.
    UniqueConstraint("job_id", "item", "subject", "digest"),
    one_of("item", Item),
    one_of("rule", Rule),
    CheckConstraint("credits >= 0", name="credits"),
    CheckConstraint(
        "(job_id IS NULL) = (view_id IS NOT NULL)"
        " AND (job_id IS NULL) = (reservation_id IS NULL)"
        " AND (view_id IS NULL OR (item = 'company' AND free_since IS NOT NULL))",
        name="source",
    ),
    CheckConstraint("(rule = 'price') = (credits > 0)", name="priced"),
    CheckConstraint("rule <> 'price' OR paid_by IS NULL", name="payer"),
    CheckConstraint("rule <> 'paid_meanwhile' OR paid_by IS NOT NULL", name="paid_by"),
    CheckConstraint("also_digest <> digest", name="also_digest"),
    CheckConstraint(
        "free_because IS NULL OR (view_id IS NOT NULL AND credits = 0"
        " AND free_because IN ('exported', 'viewed'))",
        name="free_because",
    ),
    Index("charges_license_id_id_idx", "license_id", "id"),
    # A view is charged once.
    Index(
        "charges_view_idx",
        "view_id",
        unique=True,
        postgresql_where=text("view_id IS NOT NULL"),
    ),
    Index(
        "charges_paid_by_idx", "paid_by", postgresql_where=text("paid_by IS NOT NULL")
    ),
    transaction_index("charges"),
    postgresql_with=ONLY_GROWS,
)

refunds = Table(
    "refunds",
    metadata,
    # A charge is refunded once, in full.
    Column("charge_id", BigInteger, ForeignKey("charges.id"), primary_key=True),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    Column("period_id", BigInteger, ForeignKey("periods.id"), nullable=False),
    # None: of a view.
    Column("job_id", Id),
    Column("credits", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("refunded_at", Instant, nullable=False),
    # By which it was given back, and which is written last. None: before there were
    # credit notes.
    Column(
        "credit_note_id",
        BigInteger,
        ForeignKey("credit_notes.id", deferrable=True, initially="DEFERRED"),
    ),
    transaction_column(),
    CheckConstraint("credits > 0", name="credits"),
    Index("refunds_period_id_idx", "period_id"),
    Index("refunds_job_id_idx", "job_id"),
    Index("refunds_credit_note_id_idx", "credit_note_id"),
    transaction_index("refunds"),
)

entitlements = Table(
    "entitlements",
    metadata,
    Column("license_id", Id, nullable=False),
    Column("item", Id, nullable=False),
    # Without white space around it, however the charges spell it.
    Column("subject", Id, nullable=False),
    Column("digest", Id, nullable=False),
    # The charge that it was last settled as, whoever paid.
    Column("settled_as", BigInteger),
    # Of the latest job line that stands, its time and the charge that it stands on.
    Column("exported_at", Instant),
    Column("exported_by", BigInteger),
    # The same of the latest view.
    Column("viewed_at", Instant),
    Column("viewed_by", BigInteger),
    # On which other charges its lines stand: what a refund leaves is told by them.
    Column("former_payers", ARRAY(BigInteger)),
    PrimaryKeyConstraint("license_id", "item", "subject", "digest"),
    one_of("item", Item),
    CheckConstraint(
        "(exported_at IS NULL) = (exported_by IS NULL)"
        " AND (viewed_at IS NULL) = (viewed_by IS NULL)",
        name="stands",
    ),
    postgresql_with={"fillfactor": "90"} | ONLY_GROWS,
)
