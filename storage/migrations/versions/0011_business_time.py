"""business time: one offset and one trusted instant for all, periods that reopen."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")

BELIEVED = (
    "least(clock_timestamp(), trusted_at + CASE WHEN held_since IS NULL "
    "THEN interval '600 seconds' ELSE interval '0' END)"
)
CONFIRMED = "least(clock_timestamp(), trusted_at)"
OFFSET = "make_interval(secs => offset_s)"
CLOCKS = {
    "holdfast_now": f"{BELIEVED} + {OFFSET}",
    "holdfast_confirmed_now": f"{CONFIRMED} + {OFFSET}",
    "holdfast_clock": BELIEVED,
    "holdfast_confirmed_clock": CONFIRMED,
}

LICENSE_NOW = """
CREATE OR REPLACE FUNCTION holdfast_license_now(license text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS
$$ DECLARE
     at timestamptz := holdfast_now();
     later timestamptz;
   BEGIN
     LOOP
       SELECT max(ends_at) INTO later FROM periods
        WHERE license_id = license AND ended_at IS NOT NULL
          AND starts_at <= at AND at < ends_at;
       EXIT WHEN later IS NULL;
       at := later;
     END LOOP;
     RETURN at;
   END $$
"""

RUNNING_PERIOD = """
CREATE OR REPLACE FUNCTION holdfast_running_period(license text) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE AS
$$ DECLARE at CONSTANT timestamptz := holdfast_license_now(license);
   BEGIN
     RETURN (SELECT id FROM periods
              WHERE license_id = license AND ended_at IS NULL
                AND starts_at <= at AND at < ends_at
              ORDER BY starts_at LIMIT 1);
   END $$
"""


def upgrade() -> None:
    _add_clock()
    _let_periods_reopen()
    _remember_calendars()


def downgrade() -> None:
    raise RuntimeError("trust in a clock is not forgotten: restore a backup instead")


def _add_clock() -> None:
    op.create_table(
        "business_clock",
        sa.Column("id", sa.Boolean(), primary_key=True, server_default=sa.text("true")),
        sa.Column("offset_s", sa.Float(), nullable=False, server_default=sa.text("0")),
        sa.Column("trusted_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("held_since", INSTANT),
        sa.Column("ahead_s", sa.Float(), nullable=False, server_default=sa.text("0")),
        sa.Column("turn", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.CheckConstraint("id", name="one_row"),
        sa.CheckConstraint("offset_s BETWEEN -3.2e9 AND 3.2e9", name="offset"),
    )
    op.execute("INSERT INTO business_clock DEFAULT VALUES")
    for name, instant in CLOCKS.items():
        op.execute(f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS
$$ BEGIN
     RETURN (SELECT {instant} FROM business_clock);
   END $$
""")  # noqa: S608 - constants only
    for function in (LICENSE_NOW, RUNNING_PERIOD):
        op.execute(function.replace(":=", "\\:="))


def _let_periods_reopen() -> None:
    op.add_column(
        "periods",
        sa.Column("reopened", sa.Integer(), nullable=False, server_default="0"),
    )
    op.drop_constraint(op.f("transfers_kind_check"), "transfers")
    op.create_check_constraint(
        "kind",
        "transfers",
        "(kind, from_account, to_account) IN ("
        "('grant', 'outside', 'available'), "
        "('reserve', 'available', 'reservation'), "
        "('settle', 'reservation', 'spent'), "
        "('view', 'available', 'spent'), "
        "('release', 'reservation', 'available'), "
        "('expire', 'available', 'expired'), "
        "('reopen', 'expired', 'available'), "
        "('refund', 'spent', 'available'))",
    )


def _remember_calendars() -> None:
    op.add_column("licenses", sa.Column("former_anchor_at", INSTANT))
    op.add_column("licenses", sa.Column("former_anchor_term", sa.Text()))
    op.create_check_constraint(
        "former_anchor_term", "licenses", "former_anchor_term IN ('monthly', 'yearly')"
    )
    op.create_check_constraint(
        "former",
        "licenses",
        "(former_anchor_at IS NULL) = (former_anchor_term IS NULL)",
    )
