"""the transaction of money: which one has written a row of the three tables of money.

Rows of before get this migration's: the value is one, so no row is written again. The
index reads each table once, and nobody writes to it meanwhile. Code of before goes on
beside it: the column fills itself.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

TABLES = ("transfers", "charges", "refunds")
TRANSACTION = (
    "CAST('0' AS bigint) * CAST('281474976710656' AS bigint)"
    " + CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
)


def upgrade() -> None:
    """Add the column, and an index that costs whoever adds rows next to nothing."""
    for table in TABLES:
        op.add_column(
            table,
            sa.Column(
                "transaction_id",
                sa.BigInteger(),
                nullable=False,
                server_default=sa.text(TRANSACTION),
            ),
        )
        op.create_index(
            f"{table}_transaction_id_idx",
            table,
            ["transaction_id"],
            postgresql_using="brin",
            postgresql_with={"pages_per_range": "32", "autosummarize": "true"},
        )


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
