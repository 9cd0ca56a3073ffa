"""fairness: what a license weighs, and which of its jobs go first.

Rows are not rewritten; each of the two tables is locked while it is read once for the
new check. Code of before goes on beside it, and sees neither.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """All weigh the same, and nobody goes first, until somebody says otherwise."""
    op.add_column(
        "licenses",
        sa.Column(
            "weight", sa.Numeric(3, 2), nullable=False, server_default=sa.text("1")
        ),
    )
    op.create_check_constraint("weight", "licenses", "weight BETWEEN 0.25 AND 4")
    op.add_column(
        "jobs",
        sa.Column(
            "priority", sa.SmallInteger(), nullable=False, server_default=sa.text("0")
        ),
    )
    op.create_check_constraint("priority", "jobs", "priority BETWEEN -1 AND 1")


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
