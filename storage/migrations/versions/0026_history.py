"""history: what workers count, and what the charts of operators show.

Both are new and empty; code of before goes on beside them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)

SUMS = (
    "delivered",
    "excluded",
    "rejected",
    "credits_settled",
    "chunk_failures",
    "leases_expired",
    "fenced_writes",
)
MEANS = ("jobs_open", "chunks_waiting", "chunks_running", "entries_waiting", "workers")
WORST = ("oldest_chunk_s", "oldest_entry_s")


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("name", ID, nullable=False),
        sa.Column("labels", postgresql.JSONB(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column(
            "in_history", sa.Double(), nullable=False, server_default=sa.text("0")
        ),
        sa.PrimaryKeyConstraint("name", "labels", name="counters_pkey"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "history",
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("width_s", sa.Integer(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in SUMS),
        *(sa.Column(name, sa.Double(), nullable=False) for name in (*MEANS, *WORST)),
        sa.PrimaryKeyConstraint("at", "width_s", name="history_pkey"),
        sa.CheckConstraint(
            "width_s > 0 AND looks > 0", name=op.f("history_width_check")
        ),
    )


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
