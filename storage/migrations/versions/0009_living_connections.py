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
    _tell_intents_by_chunk()


def downgrade() -> None:
    raise RuntimeError("what was sent is not forgotten: restore a backup instead")


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
    op.add_column("chunks", sa.Column("conclude_at", INSTANT))
    op.add_column("chunks", sa.Column("doubt_stop", sa.Integer()))
    # No batch was larger before.
    op.execute("""
        UPDATE chunks SET doubted_at = clock_timestamp(),
               doubt_stop = LEAST(stop, cursor + 100) WHERE in_doubt""")
    op.drop_constraint(op.f("chunks_doubt_check"), "chunks")
    op.create_check_constraint(
        "doubt", "chunks", "doubted_at IS NULL OR state NOT IN ('done', 'cancelled')"
    )
    op.create_check_constraint(
        "doubt_stop", "chunks", "(doubted_at IS NULL) = (doubt_stop IS NULL)"
    )
    op.drop_column("chunks", "in_doubt")


def _tell_intents_by_chunk() -> None:
    """Each chunk has its own; those of before are of every chunk that is in doubt."""
    op.add_column("intents", sa.Column("first_line", sa.Integer()))
    op.drop_constraint("intents_pkey", "intents")
    op.execute("""
        INSERT INTO intents (job_id, first_line, kind, our_id, change, their_id, fields)
        SELECT DISTINCT i.job_id, c.first_line, i.kind, i.our_id, i.change, i.their_id,
                        i.fields
          FROM intents AS i JOIN chunks AS c ON c.job_id = i.job_id
         WHERE c.doubted_at IS NOT NULL""")
    op.execute("DELETE FROM intents WHERE first_line IS NULL")
    op.alter_column("intents", "first_line", nullable=False)
    op.create_primary_key(
        "intents_pkey", "intents", ["job_id", "first_line", "kind", "our_id"]
    )
