"""traces: where a job's submission stands in a trace, for those who work for it.

Where no trace is made it is empty; code of before goes on beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("traceparent", sa.Text()))


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
