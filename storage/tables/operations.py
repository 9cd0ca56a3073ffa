"""What operators do, and what became of jobs outside of the normal way."""

from sqlalchemy import (
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
)

from storage.pause_scope import PauseScope
from storage.state_machine import JobState
from storage.tables.column_types import NOW, Id, Instant, metadata, one_of

# Who did what to what, why, and from where; written in the transaction that acts.
actions = Table(
    "actions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", Instant, nullable=False, server_default=NOW),
    # The API key; None on the command line.
    Column("key_id", Id, ForeignKey("keys.id")),
    # The key's name, or the user of the machine.
    Column("actor", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("target_kind", Text, nullable=False),
    Column("target", Id, nullable=False),
    # None for things of the house.
    Column("license_id", Id, ForeignKey("licenses.id")),
    Column("reason", Text),
    # How many things were moved.
    Column("affected", Integer, nullable=False, server_default="1"),
    # What the actions of one for many share.
    Column("bulk_id", Id),
    CheckConstraint("length(reason) BETWEEN 1 AND 500", name="reason"),
    CheckConstraint("affected > 0", name="affected"),
    Index("actions_license_id_id_idx", "license_id", "id"),
    Index("actions_target_idx", "target_kind", "target", "id"),
)

# What a job's row alone does not say: each change of its state outside of the normal
# way, and whose action it was, if anybody's. A trigger writes it.
job_changes = Table(
    "job_changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job_id", Id, ForeignKey("jobs.id"), nullable=False),
    # Business time, as all other instants of a job.
    Column("at", Instant, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("waiting_reason", Text),
    Column("action_id", BigInteger, ForeignKey("actions.id")),
    one_of("from_state", JobState),
    one_of("to_state", JobState),
    Index("job_changes_job_id_idx", "job_id", "id"),
)

# When each chore of the dispatcher was done last.
chore_runs = Table(
    "chore_runs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("done_at", Instant, nullable=False, server_default=NOW),
)

# What is paused besides jobs.
scope_pauses = Table(
    "scope_pauses",
    metadata,
    Column("scope", Text, nullable=False),
    # Whose id it is the scope says; empty for everything.
    Column("subject", Id, nullable=False),
    Column("reason", Text, nullable=False),
    Column("paused_by", Text, nullable=False),
    # By business time, as the deadlines that stop meanwhile.
    Column("paused_at", Instant, nullable=False),
    PrimaryKeyConstraint("scope", "subject"),
    one_of("scope", PauseScope),
    CheckConstraint("(scope = 'everything') = (subject = '')", name="subject"),
    CheckConstraint("reason <> '' AND paused_by <> ''", name="words"),
)
