"""choosing: exports that leave records out, and templates of exports."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outcomes", sa.Column("license_id", sa.Text(collation="C")))
    op.execute("""
        UPDATE outcomes SET license_id = jobs.license_id
          FROM jobs WHERE jobs.id = outcomes.job_id""")
    op.alter_column("outcomes", "license_id", nullable=False)
    op.create_index(
        "outcomes_delivered_idx",
        "outcomes",
        ["license_id", "company_id", "person_id"],
        unique=False,
        postgresql_where=sa.text("outcome = 'delivered'"),
    )
    op.add_column(
        "quotes",
        sa.Column(
            "excluded", sa.Integer(), nullable=False, server_default=sa.text("0")
        ),
    )
    op.create_table(
        "templates",
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("export", postgresql.JSONB(), nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("templates_license_id_fkey")
        ),
        sa.PrimaryKeyConstraint("license_id", "name", name=op.f("templates_pkey")),
    )


def downgrade() -> None:
    raise RuntimeError("the ledger is never taken back: restore a backup instead")
