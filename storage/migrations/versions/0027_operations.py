"""operations: when the last sweep was, and keys that read and steer nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_SCOPES = "scope IN ('producer', 'operator', 'observer', 'finance', 'admin')"


def upgrade() -> None:
    """Add the table, and the scope."""
    op.create_table(
        "chore_runs",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column(
            "done_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.clock_timestamp(),
        ),
    )
    op.drop_constraint("keys_scope_check", "keys")
    op.create_check_constraint("scope", "keys", _SCOPES)


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
