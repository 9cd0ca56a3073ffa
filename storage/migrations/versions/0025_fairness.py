"""fairness: what a license weighs, which of its jobs go first, and what is paused.

Rows are not rewritten; each of the two tables is locked while it is read once for the
new check. Code of before goes on beside it, and sees none of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TELLS_OF_WORK = """
CREATE OR REPLACE TRIGGER scope_pauses_tell_of_work AFTER DELETE ON scope_pauses
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_tell_of_work()
"""


def upgrade() -> None:
    """All weigh the same, nobody goes first, and nothing is paused until it is said."""
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
    op.add_column("jobs", sa.Column("held_since", sa.DateTime(timezone=True)))
    op.create_table(
        "scope_pauses",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("paused_by", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "subject"),
        sa.CheckConstraint(
            "scope IN ('everything', 'license', 'connection', 'provider')", name="scope"
        ),
        sa.CheckConstraint("(scope = 'everything') = (subject = '')", name="subject"),
        sa.CheckConstraint("reason <> '' AND paused_by <> ''", name="words"),
    )
    op.execute(TELLS_OF_WORK)


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
