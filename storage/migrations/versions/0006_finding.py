"""finding: what providers answered, are being asked, and were paid."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)
STATUSES = (
    "'valid', 'probable', 'accept_all', 'unknown', 'invalid', 'disposable', 'objected'"
)

COSTS_APPEND_ONLY = """
CREATE OR REPLACE TRIGGER provider_costs_append_only BEFORE UPDATE OR DELETE ON provider_costs
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
"""
COSTS_NEVER_TRUNCATED = """
CREATE OR REPLACE TRIGGER provider_costs_never_truncated BEFORE TRUNCATE ON provider_costs
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
"""


def upgrade() -> None:
    _add_findings()
    _add_lookups()
    _add_lookup_items()
    _add_costs()


def _add_findings() -> None:
    op.create_table(
        "findings",
        sa.Column("person_id", ID, nullable=False),
        sa.Column("digest", ID, nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("provider", ID, nullable=False),
        sa.Column("value", sa.Text()),
        sa.Column("email_status", sa.Text()),
        sa.Column("found_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "item IN ('email', 'phone')", name=op.f("findings_item_check")
        ),
        sa.CheckConstraint(
            f"email_status IN ({STATUSES})", name=op.f("findings_email_status_check")
        ),
        sa.CheckConstraint(
            "CASE WHEN item = 'phone' THEN email_status IS NULL "
            "WHEN email_status = 'objected' THEN value IS NULL "
            "ELSE (value IS NULL) = (email_status IS NULL) END",
            name=op.f("findings_value_check"),
        ),
        sa.PrimaryKeyConstraint(
            "person_id", "digest", "item", "provider", name=op.f("findings_pkey")
        ),
    )
    op.create_index("findings_found_at_idx", "findings", ["found_at"], unique=False)
    op.create_index(
        "findings_objected_idx",
        "findings",
        ["person_id"],
        unique=False,
        postgresql_where=sa.text("email_status = 'objected'"),
    )


def _add_lookups() -> None:
    op.create_table(
        "lookups",
        sa.Column("id", ID, nullable=False),
        sa.Column("provider", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("chunk_id", sa.BigInteger(), nullable=False),
        sa.Column("deferred", sa.Boolean(), nullable=False),
        sa.Column(
            "state", sa.Text(), nullable=False, server_default=sa.text("'prepared'")
        ),
        sa.Column("vendor_id", ID),
        sa.Column(
            "created_at",
            INSTANT,
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.Column("asked_at", INSTANT),
        sa.Column("deadline", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.CheckConstraint(
            "state IN ('prepared', 'sent', 'answered', 'expired')",
            name=op.f("lookups_state_check"),
        ),
        sa.CheckConstraint(
            "state <> 'sent' OR vendor_id IS NOT NULL", name=op.f("lookups_sent_check")
        ),
        sa.CheckConstraint(
            "(state IN ('answered', 'expired')) = (ended_at IS NOT NULL)",
            name=op.f("lookups_ended_check"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("lookups_job_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["chunk_id"], ["chunks.id"], name=op.f("lookups_chunk_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("lookups_pkey")),
        sa.UniqueConstraint(
            "provider", "vendor_id", name=op.f("lookups_provider_vendor_id_key")
        ),
    )
    op.create_index("lookups_chunk_id_idx", "lookups", ["chunk_id"], unique=False)
    op.create_index("lookups_ended_at_idx", "lookups", ["ended_at"], unique=False)
    op.create_index(
        "lookups_open_idx",
        "lookups",
        ["deadline"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def _add_lookup_items() -> None:
    op.create_table(
        "lookup_items",
        sa.Column("lookup_id", ID, nullable=False),
        sa.Column("provider", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("digest", ID, nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("answered_at", INSTANT),
        sa.CheckConstraint(
            "item IN ('email', 'phone')", name=op.f("lookup_items_item_check")
        ),
        sa.CheckConstraint(
            "NOT (open AND answered_at IS NOT NULL)",
            name=op.f("lookup_items_answered_check"),
        ),
        sa.ForeignKeyConstraint(
            ["lookup_id"],
            ["lookups.id"],
            name=op.f("lookup_items_lookup_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "lookup_id", "person_id", "digest", "item", name=op.f("lookup_items_pkey")
        ),
    )
    op.create_index(
        "lookup_items_asked_once_idx",
        "lookup_items",
        ["provider", "person_id", "digest", "item"],
        unique=True,
        postgresql_where=sa.text("open"),
    )
    op.create_index(
        "lookup_items_person_id_idx", "lookup_items", ["person_id"], unique=False
    )


def _add_costs() -> None:
    op.create_table(
        "provider_costs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("provider", ID, nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("paid", sa.Numeric(), nullable=False),
        sa.Column("paid_at", INSTANT, nullable=False),
        sa.CheckConstraint("answers > 0", name=op.f("provider_costs_answers_check")),
        sa.CheckConstraint("paid >= 0", name=op.f("provider_costs_paid_check")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("provider_costs_job_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("provider_costs_pkey")),
    )
    op.create_index(
        "provider_costs_job_id_idx",
        "provider_costs",
        ["job_id", "provider"],
        unique=False,
    )
    op.execute(COSTS_APPEND_ONLY)
    op.execute(COSTS_NEVER_TRUNCATED)


def downgrade() -> None:
    raise RuntimeError("what was paid is not forgotten: restore a backup instead")
