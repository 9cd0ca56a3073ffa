"""console sign-outs: a session that was signed out is none any more, on no browser.

Code of before goes on beside it: it notes none, and does not look for them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Remember which sessions were signed out before their time."""
    op.create_table(
        "console_sign_outs",
        sa.Column("session_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session_id"),
    )


def downgrade() -> None:
    op.drop_table("console_sign_outs")
