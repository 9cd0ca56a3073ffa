"""open chunks of a job: an index of them, for whoever looks at many jobs at once.

Nobody writes chunks while it is made, which reads the table once. Code of before goes
on beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index what is open alone: of what has ended nobody asks so."""
    op.create_index(
        "chunks_open_job_id_idx",
        "chunks",
        ["job_id", "state", "first"],
        postgresql_where=sa.text("state IN ('pending', 'dispatched', 'running')"),
    )


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
