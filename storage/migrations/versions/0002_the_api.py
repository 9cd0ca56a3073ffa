"""the api: keys, uploads, views, requests, webhooks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TRANSFER_KINDS = (
    "(kind, from_account, to_account) IN ("
    "('grant', 'outside', 'available'), "
    "('reserve', 'available', 'reservation'), "
    "('settle', 'reservation', 'spent'), "
    "('view', 'available', 'spent'), "
    "('release', 'reservation', 'available'), "
    "('expire', 'available', 'expired'), "
    "('refund', 'spent', 'available'))"
)


def upgrade() -> None:
    _add_tables()
    _let_views_be_charged()
    _let_terms_change()
    op.create_unique_constraint(op.f("jobs_retry_of_key"), "jobs", ["retry_of"])
    _keep_the_lifetime_of_reservations()


def _add_tables() -> None:
    op.create_table(
        "requests",
        sa.Column("key_id", sa.Text(collation="C"), nullable=False),
        sa.Column("idempotency_key", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("made", sa.Text(collation="C"), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column(
            "answer",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(status IS NULL) = (answer IS NULL)", name=op.f("requests_answer_check")
        ),
        sa.PrimaryKeyConstraint(
            "key_id", "idempotency_key", name=op.f("requests_pkey")
        ),
    )
    op.create_index("requests_created_at_idx", "requests", ["created_at"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("events_license_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pkey")),
        sa.UniqueConstraint("type", "subject", name=op.f("events_type_subject_key")),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "scope IN ('producer', 'operator', 'finance', 'admin')",
            name=op.f("keys_scope_check"),
        ),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("keys_license_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("keys_pkey")),
        sa.UniqueConstraint("digest", name=op.f("keys_digest_key")),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("user_id", sa.Text(collation="C"), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("notifications_license_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("notifications_pkey")),
    )
    op.create_index(
        "notifications_license_id_id_idx",
        "notifications",
        ["license_id", "id"],
        unique=False,
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("artifact", sa.Text(), nullable=True),
        sa.Column("columns", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("companies", sa.Integer(), nullable=False),
        sa.Column("persons", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("problems", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("problems_total", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("uploads_license_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("uploads_pkey")),
    )
    op.create_index("uploads_created_at_idx", "uploads", ["created_at"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("webhooks_license_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhooks_pkey")),
    )
    op.create_index("webhooks_license_id_idx", "webhooks", ["license_id"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("webhook_id", sa.Text(collation="C"), nullable=False),
        sa.Column("event_id", sa.Text(collation="C"), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("deliveries_event_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("deliveries_webhook_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
        sa.UniqueConstraint(
            "webhook_id", "event_id", name=op.f("deliveries_webhook_id_event_id_key")
        ),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "attempted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("took_s", sa.Float(), nullable=False),
        sa.CheckConstraint(
            "(status IS NULL) = (error IS NOT NULL)",
            name=op.f("delivery_attempts_outcome_check"),
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name=op.f("delivery_attempts_delivery_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("delivery_attempts_pkey")),
    )
    op.create_index(
        "delivery_attempts_delivery_id_idx",
        "delivery_attempts",
        ["delivery_id", "id"],
        unique=False,
    )


def _let_views_be_charged() -> None:
    op.add_column("charges", sa.Column("view_id", sa.Text(collation="C")))
    op.add_column("charges", sa.Column("free_since", sa.DateTime(timezone=True)))
    op.alter_column("charges", "reservation_id", nullable=True)
    op.alter_column("charges", "job_id", nullable=True)
    op.create_check_constraint(
        op.f("charges_source_check"),
        "charges",
        "(job_id IS NULL) = (view_id IS NOT NULL)"
        " AND (job_id IS NULL) = (reservation_id IS NULL)"
        " AND (view_id IS NULL OR (item = 'company' AND free_since IS NOT NULL))",
    )
    op.create_index(
        "charges_view_idx",
        "charges",
        ["view_id"],
        unique=True,
        postgresql_where=sa.text("view_id IS NOT NULL"),
    )
    op.alter_column("refunds", "job_id", nullable=True)
    op.drop_constraint("transfers_kind_check", "transfers")
    op.create_check_constraint(
        op.f("transfers_kind_check"), "transfers", TRANSFER_KINDS
    )


def _keep_the_lifetime_of_reservations() -> None:
    # A default fills the rows: closed reservations refuse an update.
    lifetime_s = sa.Column(
        "lifetime_s", sa.Float(), nullable=False, server_default=sa.text("1209600")
    )
    op.add_column("reservations", lifetime_s)
    op.alter_column("reservations", "lifetime_s", server_default=None)


def _let_terms_change() -> None:
    op.add_column("licenses", sa.Column("anchor_at", sa.DateTime(timezone=True)))
    op.add_column("licenses", sa.Column("anchor_term", sa.Text()))
    op.execute("UPDATE licenses SET anchor_at = starts_at, anchor_term = payment_term")
    op.alter_column("licenses", "anchor_at", nullable=False)
    op.alter_column("licenses", "anchor_term", nullable=False)
    op.create_check_constraint(
        op.f("licenses_anchor_term_check"),
        "licenses",
        "anchor_term IN ('monthly', 'yearly')",
    )


def downgrade() -> None:
    raise RuntimeError("the ledger is never taken back: restore a backup instead")
