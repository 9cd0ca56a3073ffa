"""the chain: the transaction that wrote each row of money, and seals over those rows.

Rows of before get this migration's: the value is one, so no row is written again. The
index reads each table once, and nobody writes to it meanwhile. Code of before goes on
beside it: the column fills itself, and where the database was restored it is refused
as that of now is.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")

TABLES = ("transfers", "charges", "refunds")
COUNTS = ("charges", "refunds", "transfers")
TRANSACTION = "CAST('0' AS bigint) * CAST('281474976710656' AS bigint) + txid_current()"

GUARDS = (
    """
CREATE OR REPLACE FUNCTION holdfast_erase_reason() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     IF TG_OP = 'UPDATE' THEN
       OLD.reason := '';
       IF NEW IS NOT DISTINCT FROM OLD AND EXISTS (
            SELECT FROM chain_erasures
             WHERE table_name = 'refunds' AND row_id = OLD.charge_id) THEN
         RETURN NEW;
       END IF;
     END IF;
     RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME
       USING ERRCODE = 'restrict_violation';
   END $$
""",
    """
CREATE OR REPLACE FUNCTION holdfast_erase_salt() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     IF TG_OP = 'UPDATE' THEN
       OLD.salt := NULL;
       IF NEW IS NOT DISTINCT FROM OLD AND EXISTS (
            SELECT FROM chain_erasures
             WHERE table_name = OLD.table_name AND row_id = OLD.row_id) THEN
         RETURN NEW;
       END IF;
     END IF;
     RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME
       USING ERRCODE = 'restrict_violation';
   END $$
""",
    """
CREATE OR REPLACE FUNCTION holdfast_system_identifier() RETURNS bigint
LANGUAGE plpgsql VOLATILE AS
$$ BEGIN
     RETURN (SELECT system_identifier FROM pg_control_system());
   EXCEPTION WHEN insufficient_privilege THEN
     RETURN 0;
   END $$
""",
    """
CREATE OR REPLACE FUNCTION holdfast_money_moves() RETURNS trigger
LANGUAGE plpgsql AS
$$ DECLARE
     last chain_runs;
   BEGIN
     SELECT * INTO last FROM chain_runs ORDER BY n DESC LIMIT 1;
     IF FOUND AND (
          last.system_identifier <> holdfast_system_identifier()
          OR last.era * CAST('281474976710656' AS bigint)
             + CAST(CAST(pg_current_xact_id() AS text) AS bigint) < last.to_transaction)
     THEN
       RAISE EXCEPTION 'the database was restored: `holdfast audit --new-era` lets '
         'credits move again' USING ERRCODE = '57HF1';
     END IF;
     PERFORM set_config('holdfast.money_moves', 'yes', false);
     RETURN NULL;
   END $$
""",
    """
CREATE OR REPLACE TRIGGER transfers_money_moves BEFORE INSERT ON transfers
FOR EACH STATEMENT WHEN (current_setting('holdfast.money_moves', true) IS DISTINCT FROM 'yes')
EXECUTE FUNCTION holdfast_money_moves()
""",
    """
CREATE OR REPLACE TRIGGER charges_money_moves BEFORE INSERT ON charges
FOR EACH STATEMENT WHEN (current_setting('holdfast.money_moves', true) IS DISTINCT FROM 'yes')
EXECUTE FUNCTION holdfast_money_moves()
""",
    """
CREATE OR REPLACE TRIGGER refunds_money_moves BEFORE INSERT ON refunds
FOR EACH STATEMENT WHEN (current_setting('holdfast.money_moves', true) IS DISTINCT FROM 'yes')
EXECUTE FUNCTION holdfast_money_moves()
""",
    """
CREATE OR REPLACE TRIGGER chunks_money_moves BEFORE UPDATE ON chunks
FOR EACH STATEMENT WHEN (current_setting('holdfast.money_moves', true) IS DISTINCT FROM 'yes')
EXECUTE FUNCTION holdfast_money_moves()
""",
    """
CREATE OR REPLACE TRIGGER refunds_append_only BEFORE UPDATE OR DELETE ON refunds
FOR EACH ROW EXECUTE FUNCTION holdfast_erase_reason()
""",
    """
CREATE OR REPLACE TRIGGER chain_runs_append_only BEFORE UPDATE OR DELETE ON chain_runs
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER chain_runs_never_truncated BEFORE TRUNCATE ON chain_runs
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER chain_links_append_only BEFORE UPDATE OR DELETE ON chain_links
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER chain_links_never_truncated BEFORE TRUNCATE ON chain_links
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER chain_texts_append_only BEFORE UPDATE OR DELETE ON chain_texts
FOR EACH ROW EXECUTE FUNCTION holdfast_erase_salt()
""",
    """
CREATE OR REPLACE TRIGGER chain_texts_never_truncated BEFORE TRUNCATE ON chain_texts
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER chain_erasures_append_only BEFORE UPDATE OR DELETE ON chain_erasures
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER chain_erasures_never_truncated BEFORE TRUNCATE ON chain_erasures
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
)


def upgrade() -> None:
    """Add the column, with an index that costs whoever adds rows next to nothing."""
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
    _add_runs_and_links()
    _add_texts_and_checks()
    for guard in GUARDS:
        op.execute(guard)


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")


def _add_runs_and_links() -> None:
    op.create_table(
        "chain_runs",
        sa.Column("n", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("format", sa.SmallInteger(), nullable=False),
        sa.Column("from_transaction", sa.BigInteger(), nullable=False),
        sa.Column("to_transaction", sa.BigInteger(), nullable=False),
        sa.Column("era", sa.Integer(), nullable=False),
        sa.Column("system_identifier", sa.BigInteger(), nullable=False),
        *(sa.Column(table, sa.BigInteger(), nullable=False) for table in COUNTS),
        sa.Column("links", sa.Integer(), nullable=False),
        sa.Column("key_id", ID, nullable=False),
        sa.Column("previous_head", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", INSTANT, nullable=False),
        sa.CheckConstraint("from_transaction <= to_transaction", name="bounds"),
    )
    op.create_table(
        "chain_links",
        sa.Column("license_id", ID, nullable=False),
        sa.Column(
            "run",
            sa.BigInteger(),
            sa.ForeignKey("chain_runs.n", name="chain_links_run_fkey"),
            nullable=False,
        ),
        sa.Column("position", sa.BigInteger(), nullable=False),
        *(sa.Column(table, sa.BigInteger(), nullable=False) for table in COUNTS),
        sa.Column("locators", sa.LargeBinary(), nullable=False),
        sa.Column("previous_head", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("license_id", "run"),
        sa.UniqueConstraint("license_id", "position"),
        sa.CheckConstraint("charges + refunds + transfers > 0", name="rows"),
    )
    op.create_index("chain_links_run_idx", "chain_links", ["run"])


def _add_texts_and_checks() -> None:
    op.create_table(
        "chain_texts",
        sa.Column("table_name", ID, nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "row_id"),
    )
    op.create_table(
        "chain_erasures",
        sa.Column("table_name", ID, nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", INSTANT, nullable=False),
        sa.Column("key_id", ID, nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "row_id"),
    )
    op.create_table(
        "chain_checks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("breaks", sa.BigInteger(), nullable=False),
        sa.Column("first_break", sa.Text()),
        sa.CheckConstraint("(breaks = 0) = (first_break IS NULL)", name="first_break"),
    )
    op.create_index("chain_checks_finished_at_idx", "chain_checks", ["finished_at"])
