"""worker health: messages that were dropped, and workers that end soon."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "dropped_messages",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("last_at", INSTANT, nullable=False, server_default=NOW),
        sa.PrimaryKeyConstraint("queue", "reason", name="dropped_messages_pkey"),
        sa.CheckConstraint("count > 0", name=op.f("dropped_messages_count_check")),
    )
    op.create_table(
        "worker_starts",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("started_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("failed_at", INSTANT),
        sa.Column("error", sa.Text()),
    )


def downgrade() -> None:
    op.drop_table("worker_starts")
    op.drop_table("dropped_messages")
