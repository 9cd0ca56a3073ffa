"""charges by provider: who found what is charged for."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of what was charged before nobody knows: charges are never changed.
    op.add_column("charges", sa.Column("provider", sa.Text(collation="C")))
