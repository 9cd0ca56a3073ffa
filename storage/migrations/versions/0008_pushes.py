"""pushes: connections, the id map, intents, dry runs, and what a push has changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")
KINDS = "kind IN ('company', 'person')"


def upgrade() -> None:
    _add_connections()
    _add_id_map()
    _add_intents()
    _add_unchanged_claims()
    _add_dry_runs()
    _widen_quotes_and_jobs()
    _widen_chunks()
    _widen_outcomes()


def _add_connections() -> None:
    op.create_table(
        "connections",
        sa.Column("id", ID, primary_key=True),
        sa.Column(
            "license_id",
            ID,
            sa.ForeignKey("licenses.id", name="connections_license_id_fkey"),
            nullable=False,
        ),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "state", sa.Text(), nullable=False, server_default=sa.text("'active'")
        ),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column("secrets", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("deleted_at", INSTANT),
        sa.CheckConstraint("state IN ('active', 'needs_reconnect')", name="state"),
    )
    op.create_index("connections_license_id_idx", "connections", ["license_id"])


def _add_id_map() -> None:
    op.create_table(
        "id_map",
        sa.Column(
            "connection_id",
            ID,
            sa.ForeignKey("connections.id", name="id_map_connection_id_fkey"),
            nullable=False,
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("our_id", ID, nullable=False),
        sa.Column("their_id", ID, nullable=False),
        sa.Column("digest", ID, nullable=False),
        sa.Column("input_digest", ID, nullable=False),
        sa.Column("sent_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "kind", "our_id", name="id_map_pkey"),
        sa.CheckConstraint(KINDS, name="kind"),
    )
    op.create_index(
        "id_map_their_id_idx", "id_map", ["connection_id", "kind", "their_id"]
    )
    op.create_index("id_map_our_id_idx", "id_map", ["our_id"])


def _add_intents() -> None:
    op.create_table(
        "intents",
        sa.Column(
            "job_id",
            ID,
            sa.ForeignKey("jobs.id", name="intents_job_id_fkey"),
            nullable=False,
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("our_id", ID, nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("their_id", ID),
        sa.Column("fields", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "kind", "our_id", name="intents_pkey"),
        sa.CheckConstraint(KINDS, name="kind"),
        sa.CheckConstraint("change IN ('created', 'updated')", name="change"),
    )


def _add_unchanged_claims() -> None:
    op.create_table(
        "unchanged_claims",
        sa.Column(
            "job_id",
            ID,
            sa.ForeignKey("jobs.id", name="unchanged_claims_job_id_fkey"),
            nullable=False,
        ),
        sa.Column("item", ID, nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("digest", ID, nullable=False),
        sa.PrimaryKeyConstraint(
            "job_id", "item", "subject", "digest", name="unchanged_claims_pkey"
        ),
        sa.CheckConstraint("item IN ('company', 'email', 'phone')", name="item"),
    )
    op.drop_index("charges_unchanged_idx", "charges")


def _add_dry_runs() -> None:
    op.create_table(
        "dry_runs",
        sa.Column("id", ID, primary_key=True),
        sa.Column(
            "license_id",
            ID,
            sa.ForeignKey("licenses.id", name="dry_runs_license_id_fkey"),
            nullable=False,
        ),
        sa.Column(
            "quote_id",
            ID,
            sa.ForeignKey("quotes.id", name="dry_runs_quote_id_fkey"),
            nullable=False,
        ),
        sa.Column(
            "state", sa.Text(), nullable=False, server_default=sa.text("'queued'")
        ),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_detail", sa.Text()),
        sa.Column("created_at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("finished_at", INSTANT),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed')",
            name="state",
        ),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (state IN ('succeeded', 'failed'))",
            name="finished_at",
        ),
    )
    op.create_index("dry_runs_created_at_idx", "dry_runs", ["created_at"])
    op.create_table(
        "dry_run_items",
        sa.Column(
            "dry_run_id",
            ID,
            sa.ForeignKey(
                "dry_runs.id", ondelete="CASCADE", name="dry_run_items_dry_run_id_fkey"
            ),
            nullable=False,
        ),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("person_id", ID),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("code", sa.Text()),
        sa.Column("message", sa.Text()),
        sa.PrimaryKeyConstraint("dry_run_id", "record", name="dry_run_items_pkey"),
        sa.CheckConstraint(
            "outcome IN ('create', 'update', 'unchanged', 'ambiguous', 'refused')",
            name="outcome",
        ),
    )


def _widen_quotes_and_jobs() -> None:
    op.add_column("quotes", sa.Column("push", postgresql.JSONB()))
    op.create_check_constraint("push", "quotes", "push IS NULL OR kind = 'push'")
    op.create_index(
        "quotes_connection_idx",
        "quotes",
        [sa.text("(push ->> 'connection')")],
        postgresql_where=sa.text("push IS NOT NULL"),
    )
    op.add_column(
        "jobs",
        sa.Column(
            "rejections_allowed",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
        ),
    )


def _widen_chunks() -> None:
    op.add_column(
        "chunks",
        sa.Column(
            "in_doubt", sa.Boolean(), nullable=False, server_default=sa.text("false")
        ),
    )
    for name in ("created", "updated", "unchanged"):
        op.add_column(
            "chunks",
            sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")),
        )
    op.create_check_constraint(
        "changes",
        "chunks",
        "created + updated + unchanged IN (0, delivered)",
    )
    op.create_check_constraint(
        "doubt",
        "chunks",
        "NOT (in_doubt AND state IN ('done', 'cancelled'))",
    )


def _widen_outcomes() -> None:
    op.add_column("outcomes", sa.Column("change", sa.Text()))
    op.add_column("outcomes", sa.Column("link", sa.Text()))
    op.drop_constraint(op.f("outcomes_rejected_check"), "outcomes")
    op.create_check_constraint(
        "rejected",
        "outcomes",
        "CASE outcome WHEN 'rejected' THEN code IS NOT NULL WHEN 'delivered' THEN true ELSE code IS NULL END",
    )
    op.create_check_constraint(
        "change",
        "outcomes",
        "change IS NULL OR (outcome = 'delivered' AND change IN ('created', 'updated', 'unchanged'))",
    )
