"""webhook secrets: one that is replaced signs beside the new one for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replaced_secrets",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column(
            "webhook_id",
            sa.Text(collation="C"),
            sa.ForeignKey("webhooks.id", name="replaced_secrets_webhook_id_fkey"),
            nullable=False,
        ),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("signs_until", sa.DateTime(timezone=True), nullable=False),
    )
    for column in ("webhook_id", "signs_until"):
        op.create_index(f"replaced_secrets_{column}_idx", "replaced_secrets", [column])


def downgrade() -> None:
    raise RuntimeError("secrets that still sign are not forgotten: restore a backup")
