"""balance alerts: thresholds of licenses, told to all who look after a license.

A message of a license as a whole names no user; code of before may not show it.
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE balance_alerts (
  license_id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  threshold bigint NOT NULL,
  CONSTRAINT balance_alerts_pkey PRIMARY KEY (license_id, kind, threshold),
  CONSTRAINT balance_alerts_license_id_fkey FOREIGN KEY (license_id)
    REFERENCES licenses (id),
  CONSTRAINT balance_alerts_kind_check
    CHECK (kind IN ('used_percent', 'credits_left')),
  CONSTRAINT balance_alerts_threshold_check
    CHECK (threshold >= 0
           AND (kind <> 'used_percent' OR threshold BETWEEN 1 AND 100))
);
CREATE TABLE balance_alerts_told (
  license_id text COLLATE "C" NOT NULL,
  period_id bigint NOT NULL,
  kind text COLLATE "C" NOT NULL,
  threshold bigint NOT NULL,
  told_at timestamptz DEFAULT clock_timestamp() NOT NULL,
  CONSTRAINT balance_alerts_told_pkey PRIMARY KEY (period_id, kind, threshold),
  CONSTRAINT balance_alerts_told_license_id_fkey FOREIGN KEY (license_id)
    REFERENCES licenses (id),
  CONSTRAINT balance_alerts_told_period_id_fkey FOREIGN KEY (period_id)
    REFERENCES periods (id),
  CONSTRAINT balance_alerts_told_kind_check
    CHECK (kind IN ('used_percent', 'credits_left'))
);
ALTER TABLE notifications ALTER COLUMN user_id DROP NOT NULL
"""


def upgrade() -> None:
    for statement in TABLES.split(";"):
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
