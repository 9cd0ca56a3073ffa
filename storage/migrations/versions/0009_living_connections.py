"""living connections: tokens that are refreshed, consent, keys that are held."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")
KINDS = "kind IN ('company', 'person')"


def upgrade() -> None:
    _widen_connections()
    _add_authorizations()
    _add_held_keys()
    _tell_why_records_are_excluded()
    _tell_since_when_chunks_are_in_doubt()


def _widen_connections() -> None:
    op.add_column(
        "connections",
        sa.Column("version", sa.Integer(), nullable=False, server_default=sa.text("1")),
    )
    op.add_column("connections", sa.Column("refreshing_until", INSTANT))
    op.add_column("connections", sa.Column("account", sa.Text()))


def _add_authorizations() -> None:
    op.create_table(
        "authorizations",
        sa.Column("state_digest", ID, primary_key=True),
        sa.Column(
            "license_id",
            ID,
            sa.ForeignKey("licenses.id", name="authorizations_license_id_fkey"),
            nullable=False,
        ),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column(
            "connection_id",
            ID,
            sa.ForeignKey("connections.id", name="authorizations_connection_id_fkey"),
        ),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("return_url", sa.Text()),
        sa.Column("created_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT),
    )
    op.create_index("authorizations_expires_at_idx", "authorizations", ["expires_at"])


def _add_held_keys() -> None:
    op.create_table(
        "held_keys",
        sa.Column(
            "connection_id",
            ID,
            sa.ForeignKey("connections.id", name="held_keys_connection_id_fkey"),
            nullable=False,
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("our_id", ID, nullable=False),
        sa.Column("owner", ID, nullable=False),
        sa.Column("held_until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint(
            "connection_id", "kind", "our_id", name="held_keys_pkey"
        ),
        sa.CheckConstraint(KINDS, name="kind"),
    )


def _tell_why_records_are_excluded() -> None:
    op.drop_constraint(op.f("outcomes_rejected_check"), "outcomes")
    op.create_check_constraint(
        "code",
        "outcomes",
        "CASE outcome WHEN 'rejected' THEN code IS NOT NULL "
        "WHEN 'unreached' THEN code IS NULL ELSE true END",
    )
    op.drop_constraint(op.f("dry_run_items_outcome_check"), "dry_run_items")
    op.create_check_constraint(
        "outcome",
        "dry_run_items",
        "outcome IN ('create', 'update', 'unchanged', 'ambiguous', 'refused', 'exclude')",
    )


def _tell_since_when_chunks_are_in_doubt() -> None:
    op.add_column("chunks", sa.Column("doubted_at", INSTANT))
    op.execute("UPDATE chunks SET doubted_at = clock_timestamp() WHERE in_doubt")
    op.drop_constraint(op.f("chunks_doubt_check"), "chunks")
    op.create_check_constraint(
        "doubt", "chunks", "doubted_at IS NULL OR state NOT IN ('done', 'cancelled')"
    )
    op.drop_column("chunks", "in_doubt")
