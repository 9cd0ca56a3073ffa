"""keeping: what is removed after set times, and who was erased."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEXES = (
    ("uploads_kept_idx", "uploads", "created_at", "artifact IS NOT NULL"),
    ("uploads_artifact_idx", "uploads", "artifact", None),
    ("quotes_kept_idx", "quotes", "quoted_at", "input IS NOT NULL"),
    ("quotes_input_idx", "quotes", "input", None),
    ("jobs_file_kept_idx", "jobs", "finished_at", "file_artifact IS NOT NULL"),
    (
        "jobs_parts_kept_idx",
        "jobs",
        "finished_at",
        "finished_at IS NOT NULL AND parts_removed_at IS NULL",
    ),
    ("outbox_done_idx", "outbox", "done_at", "state = 'done'"),
    ("events_created_at_idx", "events", "created_at", None),
    ("deliveries_event_id_idx", "deliveries", "event_id", None),
    ("notifications_created_at_idx", "notifications", "created_at", None),
)


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("person_id", sa.Text(collation="C"), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "erased_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("person_id", "license_id", name=op.f("erasures_pkey")),
    )
    op.create_table(
        "removals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "marked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("removals_pkey")),
    )
    op.alter_column("quotes", "input", nullable=True)
    op.add_column(
        "jobs",
        sa.Column(
            "keep_file", sa.Boolean(), nullable=False, server_default=sa.text("true")
        ),
    )
    op.add_column("jobs", sa.Column("parts_removed_at", sa.DateTime(timezone=True)))
    op.drop_index("uploads_created_at_idx", "uploads")
    for name, table, column, where in INDEXES:
        op.create_index(
            name,
            table,
            [column],
            unique=False,
            postgresql_where=None if where is None else sa.text(where),
        )


def downgrade() -> None:
    raise RuntimeError("what was removed is not brought back: restore a backup instead")
