"""a long past: an index of the periods that run, and what tables are vacuumed by.

Takes a moment's lock of the periods, of which there is one a license and term. Code of
before goes on beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None

VACUUMED = {
    # What only grows: by a number of new rows, however many there are by then.
    "charges": "autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000",
    "entitlements": "autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000",
    "transfers": "autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000",
    "delivered_companies": "autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000",
    # What changes while it is young: before the dead rows outnumber those at work.
    "jobs": "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000",
    "chunks": "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000",
    "outbox": "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000",
    "reservations": "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000",
    "periods": "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000",
}


def upgrade() -> None:
    """The settings wait for whoever vacuums by hand; nobody waits for the periods yet."""
    for table, parameters in VACUUMED.items():
        op.execute(f"ALTER TABLE {table} SET ({parameters})")
    op.create_index(
        "periods_open_idx",
        "periods",
        ["ends_at"],
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
