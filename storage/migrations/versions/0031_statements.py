"""statements: periods are closed for good, and what they came to is frozen.

Code of before goes on beside it: it closes nothing, and reopens nothing that is closed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)

GUARDS = (
    """
CREATE OR REPLACE TRIGGER statements_append_only BEFORE UPDATE OR DELETE ON statements
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER statements_never_truncated BEFORE TRUNCATE ON statements
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER periods_closed_for_good
BEFORE UPDATE OF closed_at, closed_in ON periods
FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL)
EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER periods_money_moves BEFORE UPDATE OF closed_at ON periods
FOR EACH STATEMENT WHEN (current_setting('holdfast.money_moves', true) IS DISTINCT FROM 'yes')
EXECUTE FUNCTION holdfast_money_moves()
""",
)


def upgrade() -> None:
    """Let periods be closed, and keep what they came to."""
    op.add_column("periods", sa.Column("closed_at", INSTANT))
    op.add_column("periods", sa.Column("closed_in", sa.BigInteger))
    op.add_column("periods", sa.Column("stated_spent", sa.BigInteger))
    op.create_check_constraint(
        "closed",
        "periods",
        "(closed_at IS NULL) = (closed_in IS NULL)"
        " AND (closed_at IS NULL OR (ended_at IS NOT NULL AND reserved = 0))"
        " AND (stated_spent IS NULL OR closed_at IS NOT NULL)",
    )
    op.create_table(
        "statements",
        sa.Column(
            "period_id", sa.BigInteger, sa.ForeignKey("periods.id"), nullable=False
        ),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("license_id", ID, sa.ForeignKey("licenses.id"), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("previous_run", sa.Integer),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("available", "reserved", "spent", "expired")
        ),
        sa.Column("head", sa.Text),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column(
            "frozen_at",
            INSTANT,
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.PrimaryKeyConstraint("period_id", "run"),
        sa.UniqueConstraint("period_id", "run", "until"),
        sa.ForeignKeyConstraint(
            ["period_id", "previous_run", "since"],
            ["statements.period_id", "statements.run", "statements.until"],
            name="statements_previous_run_fkey",
        ),
        sa.CheckConstraint(
            "run >= 1 AND since < until AND CASE WHEN run = 1"
            " THEN previous_run IS NULL AND since = 0"
            " ELSE previous_run IS NOT NULL AND previous_run = run - 1 END",
            name="run",
        ),
        sa.CheckConstraint(
            "available = 0 AND reserved = 0 AND spent >= 0 AND expired >= 0",
            name="closing",
        ),
    )
    for guard in GUARDS:
        op.execute(guard)


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
