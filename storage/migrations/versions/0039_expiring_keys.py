"""expiring keys: an API key may have an end.

Code of before goes on beside it, and lets keys in that have ended.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let a key end at a time."""
    op.add_column("keys", sa.Column("expires_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("keys", "expires_at")
