"""answers are kept as they were sent, so that a replay is the same byte for byte."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A secret answer stood as {"sealed": cipher}; the cipher alone is kept now.
    op.execute("""
        ALTER TABLE requests ALTER COLUMN answer TYPE text
        USING coalesce(answer ->> 'sealed', answer::text)""")


def downgrade() -> None:
    raise RuntimeError("the ledger is never taken back: restore a backup instead")
