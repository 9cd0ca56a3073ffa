"""heard audit: its runs, standing violations, what operators said, who is told."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")

GUARDS = (
    """
CREATE OR REPLACE TRIGGER audit_acknowledgements_append_only BEFORE UPDATE OR DELETE ON audit_acknowledgements
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER audit_acknowledgements_never_truncated BEFORE TRUNCATE ON audit_acknowledgements
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
)


def upgrade() -> None:
    _add_runs_and_violations()
    _add_acknowledgements()
    _add_operator_events()


def downgrade() -> None:
    raise RuntimeError(
        "what was acknowledged is not forgotten: restore a backup instead"
    )


def _add_runs_and_violations() -> None:
    op.create_table(
        "audit_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("violations", sa.BigInteger(), nullable=False),
    )
    op.create_index("audit_runs_finished_at_idx", "audit_runs", ["finished_at"])
    op.create_table(
        "audit_violations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column(
            "run_id",
            sa.BigInteger(),
            sa.ForeignKey("audit_runs.id", name="audit_violations_run_id_fkey"),
            nullable=False,
        ),
        sa.Column("check_name", sa.Text(), nullable=False),
        sa.Column("digest", ID, nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("found_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("seen_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("cleared_at", INSTANT),
    )
    op.create_index(
        "audit_violations_standing_key",
        "audit_violations",
        ["digest"],
        unique=True,
        postgresql_where=sa.text("cleared_at IS NULL"),
    )


def _add_acknowledgements() -> None:
    op.create_table(
        "audit_acknowledgements",
        sa.Column(
            "violation_id",
            sa.BigInteger(),
            sa.ForeignKey(
                "audit_violations.id", name="audit_acknowledgements_violation_id_fkey"
            ),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("acknowledged_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("acknowledged_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "refunded_charge_id",
            sa.BigInteger(),
            sa.ForeignKey(
                "refunds.charge_id",
                name="audit_acknowledgements_refunded_charge_id_fkey",
            ),
        ),
        sa.CheckConstraint("acknowledged_by <> '' AND reason <> ''", name="words"),
    )
    for guard in GUARDS:
        op.execute(guard)


def _add_operator_events() -> None:
    op.create_table(
        "operator_events",
        sa.Column("id", ID, primary_key=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False, server_default=NOW),
        sa.UniqueConstraint("type", "subject", name="operator_events_type_subject_key"),
    )
    op.create_index("operator_events_created_at_idx", "operator_events", ["created_at"])
