"""reconciliations: their runs, what they found, and what they first read of a job.

The tables are new and empty. The index on reservations, by which a period's jobs are
found, reads them once; code of before goes on beside it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")
NONE = sa.text("0")

COUNTS = (
    *("cursor_period", "cursor_reservation", "jobs", "charges", "recomputed"),
    *("not_recomputable", "differences"),
)


def upgrade() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("license_id", ID),
        sa.Column(
            "nightly", sa.Boolean(), nullable=False, server_default=sa.text("false")
        ),
        sa.Column(
            "state", sa.Text(), nullable=False, server_default=sa.text("'queued'")
        ),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False, server_default=NONE)
            for name in COUNTS
        ),
        sa.Column("periods", sa.Integer(), nullable=False, server_default=NONE),
        sa.Column("worked_s", sa.Float(), nullable=False, server_default=NONE),
        sa.Column("error", sa.Text()),
        sa.Column("owner", sa.Text()),
        sa.Column("lease_until", INSTANT),
        sa.Column("created_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("started_at", INSTANT),
        sa.Column("finished_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="reconciliations_pkey"),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name="reconciliations_license_id_fkey"
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed')",
            name=op.f("reconciliations_state_check"),
        ),
        sa.CheckConstraint(
            "(state = 'running') = (lease_until IS NOT NULL)",
            name=op.f("reconciliations_lease_check"),
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'failed')) = (finished_at IS NOT NULL)",
            name=op.f("reconciliations_finished_check"),
        ),
    )
    op.create_index(
        "reconciliations_running_key",
        "reconciliations",
        [sa.text("(true)")],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "reconciliations_finished_at_idx",
        "reconciliations",
        ["finished_at"],
        postgresql_where=sa.text("state = 'done'"),
    )
    op.create_table(
        "reconciliation_findings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reconciliation_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("license_id", ID, nullable=False),
        sa.Column("job_id", ID),
        sa.Column("record", sa.Integer()),
        sa.Column("charge_id", sa.BigInteger()),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("found", sa.Text(), nullable=False),
        sa.Column("charges", sa.BigInteger(), nullable=False, server_default=NONE),
        sa.PrimaryKeyConstraint("id", name="reconciliation_findings_pkey"),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"],
            ["reconciliations.id"],
            name="reconciliation_findings_reconciliation_id_fkey",
        ),
        sa.CheckConstraint(
            "kind IN ('difference', 'not_recomputable')",
            name=op.f("reconciliation_findings_kind_check"),
        ),
    )
    op.create_index(
        "reconciliation_findings_idx",
        "reconciliation_findings",
        ["reconciliation_id", "kind", "id"],
    )
    op.create_table(
        "reconciled_jobs",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("reconciliation_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "version", name="reconciled_jobs_pkey"),
    )
    op.create_index("reservations_period_id_idx", "reservations", ["period_id", "id"])


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
