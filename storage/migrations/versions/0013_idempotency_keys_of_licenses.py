"""idempotency keys of licenses: the license's, not those of the API key that sent them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("scope", sa.Text(collation="C")))
    # Two API keys of one license may have sent the same Idempotency-Key for two
    # things: those stay with the API key.
    op.execute("""
        WITH asked AS (
          SELECT r.key_id, r.idempotency_key, coalesce(k.license_id, '') AS scope,
                 count(*) OVER (
                   PARTITION BY k.license_id, r.idempotency_key) AS same
            FROM requests AS r JOIN keys AS k ON k.id = r.key_id)
        UPDATE requests SET scope = asked.scope FROM asked
         WHERE requests.key_id = asked.key_id
           AND requests.idempotency_key = asked.idempotency_key
           AND asked.same = 1""")
    op.create_unique_constraint(
        op.f("requests_scope_idempotency_key_key"),
        "requests",
        ["scope", "idempotency_key"],
    )
    op.create_index(
        "requests_unscoped_idx",
        "requests",
        ["idempotency_key"],
        postgresql_where=sa.text("scope IS NULL"),
    )


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
