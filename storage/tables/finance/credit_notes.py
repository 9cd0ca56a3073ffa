"""Credit notes: refunds as people decide on them, and what one may book alone."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.tables.column_types import Id, Instant, metadata

credit_note_ids = Sequence(
    "credit_notes_id_seq", metadata=metadata, data_type=BigInteger
)

credit_notes = Table(
    "credit_notes",
    metadata,
    # Drawn before: its refunds name it, and are booked first.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    # Given when it is booked, from a row that is locked last: without gaps.
    Column("number", BigInteger),
    Column("state", Id, nullable=False),
    # Of a whole job; None: of charges that somebody has chosen.
    Column("job_id", Id),
    # What it gives back; while it waits, what it was asked to.
    Column("credits", BigInteger, nullable=False),
    # None: erased.
    Column("reason", Text),
    # As people read it: the person, or the key's name, or the house itself.
    Column("author", Text, nullable=False),
    # Whom the author's key names; None where it names nobody.
    Column("person", Text),
    Column("key_id", Id, ForeignKey("keys.id")),
    # Whose allowance it was booked from; None: a second person's word, or the house's.
    Column("counted_as", Text),
    Column("created_at", Instant, nullable=False),
    # Who has approved or rejected it; None: nobody had to.
    Column("decided_by", Text),
    Column("decided_key_id", Id, ForeignKey("keys.id")),
    # When it was booked or rejected.
    Column("decided_at", Instant),
    # Why it was rejected.
    Column("decision_reason", Text),
    UniqueConstraint("license_id", "number"),
    # What its charges repeat.
    UniqueConstraint("id", "state"),
    CheckConstraint(
        "state IN ('awaiting_approval', 'booked', 'rejected')", name="state"
    ),
    CheckConstraint("credits > 0", name="credits"),
    CheckConstraint("number > 0", name="positive"),
    CheckConstraint("(state = 'booked') = (number IS NOT NULL)", name="number"),
    CheckConstraint(
        "(state = 'awaiting_approval') = (decided_at IS NULL)"
        " AND (state <> 'awaiting_approval' OR decided_by IS NULL)"
        " AND (state <> 'rejected' OR decided_by IS NOT NULL)",
        name="decided",
    ),
    CheckConstraint(
        "state = 'rejected' OR decision_reason IS NULL", name="decision_reason"
    ),
    # A second person approves, and never the first, whatever keys they hold.
    CheckConstraint(
        "state <> 'booked' OR decided_by IS NULL OR (person IS NOT NULL"
        " AND lower(decided_by) <> lower(person))",
        name="approver",
    ),
    CheckConstraint(
        "counted_as IS NULL OR (state = 'booked' AND decided_by IS NULL)",
        name="counted_as",
    ),
    Index("credit_notes_license_id_id_idx", "license_id", "id"),
    Index(
        "credit_notes_waiting_idx",
        "id",
        postgresql_where=text("state = 'awaiting_approval'"),
    ),
)

credit_note_charges = Table(
    "credit_note_charges",
    metadata,
    Column("credit_note_id", BigInteger, nullable=False),
    Column("charge_id", BigInteger, ForeignKey("charges.id"), nullable=False),
    Column("state", Id, nullable=False),
    Column("period_id", BigInteger, ForeignKey("periods.id"), nullable=False),
    Column("credits", Integer, nullable=False),
    PrimaryKeyConstraint("credit_note_id", "charge_id"),
    # It is what its note is.
    ForeignKeyConstraint(
        ["credit_note_id", "state"],
        ["credit_notes.id", "credit_notes.state"],
        onupdate="CASCADE",
        deferrable=True,
        initially="DEFERRED",
        name="credit_note_charges_credit_note_id_fkey",
    ),
    # A charge waits in one note at most.
    Index(
        "credit_note_charges_waiting_idx",
        "charge_id",
        unique=True,
        postgresql_where=text("state = 'awaiting_approval'"),
    ),
    Index("credit_note_charges_period_id_idx", "period_id", "credit_note_id"),
)

credit_note_numbers = Table(
    "credit_note_numbers",
    metadata,
    # A row for each license: locked last, so that numbers have no gaps.
    Column("license_id", Id, ForeignKey("licenses.id"), primary_key=True),
    Column("last", BigInteger, nullable=False),
    CheckConstraint("last > 0", name="last"),
)

refund_allowances = Table(
    "refund_allowances",
    metadata,
    # What somebody has given back without a second person, on a day of UTC.
    Column("license_id", Id, ForeignKey("licenses.id"), nullable=False),
    # The person in lower case; empty for all whose keys name nobody.
    Column("counted_as", Id, nullable=False),
    Column("day", Date, nullable=False),
    Column("credits", BigInteger, nullable=False),
    PrimaryKeyConstraint("license_id", "counted_as", "day"),
    CheckConstraint("credits > 0", name="credits"),
)
