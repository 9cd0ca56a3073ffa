"""a lean id map: no index that serves what hardly ever happens.

What has our own id in the CRM is found by that. An erased person is looked up in each
connection. The map is locked while the new index is made; code of before goes on beside
it, and looks longer for what a CRM has found.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "id_map_other_id_idx",
        "id_map",
        ["connection_id", "kind", "their_id"],
        postgresql_where=sa.text("their_id <> our_id"),
    )
    op.drop_index("id_map_their_id_idx", "id_map")
    op.drop_index("id_map_our_id_idx", "id_map")


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
