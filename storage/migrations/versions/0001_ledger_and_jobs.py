"""ledger and jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

GUARDS = (
    """
CREATE OR REPLACE FUNCTION holdfast_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT clock_timestamp() + make_interval(secs => coalesce(
     nullif(current_setting('holdfast.clock_offset_s', true), ''), '0')::float8) $$
""",
    """
CREATE OR REPLACE FUNCTION holdfast_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME
       USING ERRCODE = 'restrict_violation';
   END $$
""",
    """
CREATE OR REPLACE TRIGGER transfers_append_only BEFORE UPDATE OR DELETE ON transfers
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER transfers_never_truncated BEFORE TRUNCATE ON transfers
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER charges_append_only BEFORE UPDATE OR DELETE ON charges
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER charges_never_truncated BEFORE TRUNCATE ON charges
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER refunds_append_only BEFORE UPDATE OR DELETE ON refunds
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER refunds_never_truncated BEFORE TRUNCATE ON refunds
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
    """
CREATE OR REPLACE TRIGGER reservations_closed_for_good
BEFORE UPDATE OR DELETE ON reservations
FOR EACH ROW WHEN (OLD.state = 'closed')
EXECUTE FUNCTION holdfast_refuse_change()
""",
)


def upgrade() -> None:
    op.execute("CREATE SEQUENCE charges_id_seq AS bigint")
    op.create_table(
        "charges",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("period_id", sa.BigInteger(), nullable=False),
        sa.Column("reservation_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Text(collation="C"), nullable=False),
        sa.Column("user_id", sa.Text(collation="C"), nullable=False),
        sa.Column("item", sa.Text(collation="C"), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.Text(collation="C"), nullable=False),
        sa.Column("credits", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(collation="C"), nullable=False),
        sa.Column("paid_by", sa.BigInteger(), nullable=True),
        sa.Column("charged_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(rule = 'price') = (credits > 0)", name=op.f("charges_priced_check")
        ),
        sa.CheckConstraint(
            "item IN ('company', 'email', 'phone')", name=op.f("charges_item_check")
        ),
        sa.CheckConstraint(
            "rule <> 'paid_meanwhile' OR paid_by IS NOT NULL",
            name=op.f("charges_paid_by_check"),
        ),
        sa.CheckConstraint(
            "rule <> 'price' OR paid_by IS NULL", name=op.f("charges_payer_check")
        ),
        sa.CheckConstraint(
            "rule IN ('price', 'free_as_quoted', 'paid_meanwhile', 'unchanged')",
            name=op.f("charges_rule_check"),
        ),
        sa.CheckConstraint("credits >= 0", name=op.f("charges_credits_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("charges_pkey")),
        sa.UniqueConstraint(
            "job_id",
            "item",
            "subject",
            "digest",
            name=op.f("charges_job_id_item_subject_digest_key"),
        ),
    )
    op.create_index(
        "charges_license_id_id_idx", "charges", ["license_id", "id"], unique=False
    )
    op.create_index(
        "charges_paid_by_idx",
        "charges",
        ["paid_by"],
        unique=False,
        postgresql_where=sa.text("paid_by IS NOT NULL"),
    )
    op.create_index(
        "charges_unchanged_idx",
        "charges",
        ["job_id", "item", "subject", "digest"],
        unique=False,
        postgresql_where=sa.text("rule = 'unchanged'"),
    )
    op.create_table(
        "directory",
        sa.Column("person_id", sa.Text(collation="C"), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_status", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "email_status IN ('valid', 'probable', 'accept_all', 'unknown', 'invalid', 'disposable', 'objected')",
            name=op.f("directory_email_status_check"),
        ),
        sa.PrimaryKeyConstraint("person_id", name=op.f("directory_pkey")),
    )
    op.create_table(
        "entitlements",
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("item", sa.Text(collation="C"), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.Text(collation="C"), nullable=False),
        sa.Column("settled_as", sa.BigInteger(), nullable=True),
        sa.Column("paid_by", sa.BigInteger(), nullable=True),
        sa.Column("exported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("viewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "item IN ('company', 'email', 'phone')",
            name=op.f("entitlements_item_check"),
        ),
        sa.PrimaryKeyConstraint(
            "license_id", "item", "subject", "digest", name=op.f("entitlements_pkey")
        ),
        postgresql_with={"fillfactor": "90"},
    )
    op.create_table(
        "licenses",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("payment_term", sa.Text(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("features", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "payment_term IN ('monthly', 'yearly')",
            name=op.f("licenses_payment_term_check"),
        ),
        sa.CheckConstraint(
            "plan IN ('V1', 'V2', 'V3')", name=op.f("licenses_plan_check")
        ),
        sa.CheckConstraint("credits >= 0", name=op.f("licenses_credits_check")),
        sa.CheckConstraint(
            "length(id) BETWEEN 1 AND 200", name=op.f("licenses_id_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("licenses_pkey")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "state", sa.Text(), server_default=sa.text("'pending'"), nullable=False
        ),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "run_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'done') = (done_at IS NOT NULL)", name=op.f("outbox_done_check")
        ),
        sa.CheckConstraint(
            "(state = 'running') = (lease_until IS NOT NULL)",
            name=op.f("outbox_lease_check"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'dispatched', 'running', 'done')",
            name=op.f("outbox_state_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_pkey")),
        sa.UniqueConstraint("topic", "key", name=op.f("outbox_topic_key_key")),
    )
    op.create_index(
        "outbox_open_idx",
        "outbox",
        ["run_at"],
        unique=False,
        postgresql_where=sa.text("state <> 'done'"),
    )
    op.create_table(
        "processes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "role IN ('worker', 'dispatcher')", name=op.f("processes_role_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("processes_pkey")),
    )
    op.create_table(
        "periods",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "granted", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "reserved", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "spent", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "expired", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "ended_at IS NOT NULL OR expired = 0", name=op.f("periods_expired_check")
        ),
        sa.CheckConstraint(
            "ended_at IS NULL OR granted - reserved - spent - expired = 0",
            name=op.f("periods_ended_check"),
        ),
        sa.CheckConstraint(
            "granted - reserved - spent - expired >= 0",
            name=op.f("periods_available_check"),
        ),
        sa.CheckConstraint(
            "granted >= 0 AND reserved >= 0 AND spent >= 0 AND expired >= 0",
            name=op.f("periods_counters_check"),
        ),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("periods_length_check")),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("periods_license_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("periods_pkey")),
        sa.UniqueConstraint(
            "license_id", "starts_at", name=op.f("periods_license_id_starts_at_key")
        ),
    )
    op.create_table(
        "quotes",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("user_id", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("retrieve", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("email_level", sa.Text(), nullable=False),
        sa.Column("only_with", sa.Text(), nullable=True),
        sa.Column(
            "export",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("quoted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("max_credits", sa.BigInteger(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("fits_records", sa.Integer(), nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("changed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("companies", sa.Integer(), nullable=False),
        sa.Column("persons", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("columns", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("slices", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "email_level IN ('verified', 'accept_all')",
            name=op.f("quotes_email_level_check"),
        ),
        sa.CheckConstraint(
            "kind IN ('export', 'push')", name=op.f("quotes_kind_check")
        ),
        sa.CheckConstraint(
            "only_with IN ('email', 'verified_email')",
            name=op.f("quotes_only_with_check"),
        ),
        sa.CheckConstraint("max_credits >= 0", name=op.f("quotes_max_credits_check")),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("quotes_license_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("quotes_pkey")),
    )
    op.create_table(
        "users",
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("credits_allowed", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "role IN ('admin', 'member', 'viewer')", name=op.f("users_role_check")
        ),
        sa.CheckConstraint("length(id) BETWEEN 1 AND 200", name=op.f("users_id_check")),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("users_license_id_fkey")
        ),
        sa.PrimaryKeyConstraint("license_id", "id", name=op.f("users_pkey")),
    )
    op.create_table(
        "refunds",
        sa.Column("charge_id", sa.BigInteger(), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("period_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Text(collation="C"), nullable=False),
        sa.Column("credits", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("credits > 0", name=op.f("refunds_credits_check")),
        sa.ForeignKeyConstraint(
            ["charge_id"], ["charges.id"], name=op.f("refunds_charge_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("refunds_license_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["period_id"], ["periods.id"], name=op.f("refunds_period_id_fkey")
        ),
        sa.PrimaryKeyConstraint("charge_id", name=op.f("refunds_pkey")),
    )
    op.create_index("refunds_job_id_idx", "refunds", ["job_id"], unique=False)
    op.create_index("refunds_period_id_idx", "refunds", ["period_id"], unique=False)
    op.create_table(
        "reservations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("period_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column(
            "settled", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "released", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'open' AND released = 0 AND closed_at IS NULL) OR (state = 'closed' AND settled + released = amount AND closed_at IS NOT NULL)",
            name=op.f("reservations_closed_check"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'closed')", name=op.f("reservations_state_check")
        ),
        sa.CheckConstraint(
            "amount >= 0 AND settled >= 0 AND released >= 0",
            name=op.f("reservations_counters_check"),
        ),
        sa.CheckConstraint(
            "settled + released <= amount", name=op.f("reservations_guarantee_check")
        ),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("reservations_license_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["period_id"], ["periods.id"], name=op.f("reservations_period_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("reservations_pkey")),
        sa.UniqueConstraint("job_id", name=op.f("reservations_job_id_key")),
    )
    op.create_index(
        "reservations_open_idx",
        "reservations",
        ["period_id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("quote_id", sa.Text(collation="C"), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("user_id", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column(
            "state", sa.Text(), server_default=sa.text("'queued'"), nullable=False
        ),
        sa.Column("ending", sa.Text(), nullable=True),
        sa.Column("retry_of", sa.Text(collation="C"), nullable=True),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("open_chunks", sa.Integer(), nullable=False),
        sa.Column("waiting_reason", sa.Text(), nullable=True),
        sa.Column("waiting_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column("file_artifact", sa.Text(), nullable=True),
        sa.Column("file_bytes", sa.BigInteger(), nullable=True),
        sa.Column("file_sha256", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (state IN ('cancelled', 'failed', 'partial', 'succeeded'))",
            name=op.f("jobs_finished_at_check"),
        ),
        sa.CheckConstraint(
            "ending IN ('cancelled', 'failed')", name=op.f("jobs_ending_check")
        ),
        sa.CheckConstraint("kind IN ('export', 'push')", name=op.f("jobs_kind_check")),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'pausing', 'paused', 'cancelling', 'finishing', 'succeeded', 'partial', 'cancelled', 'failed')",
            name=op.f("jobs_state_check"),
        ),
        sa.CheckConstraint("open_chunks >= 0", name=op.f("jobs_open_chunks_check")),
        sa.ForeignKeyConstraint(
            ["id"], ["reservations.job_id"], name=op.f("jobs_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("jobs_license_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["quote_id"], ["quotes.id"], name=op.f("jobs_quote_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["retry_of"], ["jobs.id"], name=op.f("jobs_retry_of_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("jobs_pkey")),
        sa.UniqueConstraint("quote_id", name=op.f("jobs_quote_id_key")),
    )
    op.create_index("jobs_created_at_idx", "jobs", ["created_at", "id"], unique=False)
    op.create_index(
        "jobs_license_id_created_at_idx",
        "jobs",
        ["license_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "jobs_open_idx",
        "jobs",
        ["state"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "transfers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("license_id", sa.Text(collation="C"), nullable=False),
        sa.Column("period_id", sa.BigInteger(), nullable=False),
        sa.Column("reservation_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("from_account", sa.Text(), nullable=False),
        sa.Column("to_account", sa.Text(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(kind IN ('grant', 'refund')) = (reference IS NOT NULL)",
            name=op.f("transfers_reference_check"),
        ),
        sa.CheckConstraint(
            "(kind IN ('reserve', 'settle', 'release')) = (reservation_id IS NOT NULL)",
            name=op.f("transfers_reservation_check"),
        ),
        sa.CheckConstraint(
            "(kind, from_account, to_account) IN (('grant', 'outside', 'available'), ('reserve', 'available', 'reservation'), ('settle', 'reservation', 'spent'), ('release', 'reservation', 'available'), ('expire', 'available', 'expired'), ('refund', 'spent', 'available'))",
            name=op.f("transfers_kind_check"),
        ),
        sa.CheckConstraint("credits > 0", name=op.f("transfers_credits_check")),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("transfers_license_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["period_id"], ["periods.id"], name=op.f("transfers_period_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["reservation_id"],
            ["reservations.id"],
            name=op.f("transfers_reservation_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("transfers_pkey")),
    )
    op.create_index(
        "transfers_grant_idx",
        "transfers",
        ["license_id", "reference"],
        unique=True,
        postgresql_where=sa.text("kind = 'grant'"),
    )
    op.create_index("transfers_period_id_idx", "transfers", ["period_id"], unique=False)
    op.create_index(
        "transfers_reservation_id_idx", "transfers", ["reservation_id"], unique=False
    )
    op.create_index(
        "transfers_reservation_once_idx",
        "transfers",
        ["reservation_id", "kind"],
        unique=True,
        postgresql_where=sa.text("kind IN ('reserve', 'release')"),
    )
    op.create_table(
        "chunks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.Text(collation="C"), nullable=False),
        sa.Column("first_byte", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("first_line", sa.Integer(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("stop", sa.Integer(), nullable=False),
        sa.Column(
            "state", sa.Text(), server_default=sa.text("'pending'"), nullable=False
        ),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "run_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("crashes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "failures", sa.Integer(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column(
            "delivered", sa.Integer(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "excluded", sa.Integer(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "rejected", sa.Integer(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "emails_found", sa.Integer(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "phones_found", sa.Integer(), server_default=sa.text("0"), nullable=False
        ),
        sa.CheckConstraint(
            "(state = 'running') = (lease_until IS NOT NULL)",
            name=op.f("chunks_lease_check"),
        ),
        sa.CheckConstraint(
            "state <> 'done' OR cursor = stop", name=op.f("chunks_done_check")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'dispatched', 'running', 'done', 'cancelled')",
            name=op.f("chunks_state_check"),
        ),
        sa.CheckConstraint(
            "delivered + excluded + rejected = cursor - first",
            name=op.f("chunks_outcomes_check"),
        ),
        sa.CheckConstraint(
            "first_line <= first AND first <= cursor AND cursor <= stop",
            name=op.f("chunks_cursor_check"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("chunks_job_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("chunks_pkey")),
        sa.UniqueConstraint("job_id", "first", name=op.f("chunks_job_id_first_key")),
    )
    op.create_index(
        "chunks_open_idx",
        "chunks",
        ["state", "run_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'dispatched', 'running')"),
    )
    op.create_table(
        "outcomes",
        sa.Column("job_id", sa.Text(collation="C"), nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Text(collation="C"), nullable=False),
        sa.Column("person_id", sa.Text(collation="C"), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("email_found", sa.Boolean(), nullable=False),
        sa.Column("phone_found", sa.Boolean(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(outcome = 'rejected') = (code IS NOT NULL)",
            name=op.f("outcomes_rejected_check"),
        ),
        sa.CheckConstraint(
            "(outcome = 'delivered' AND person_id IS NOT NULL) OR NOT (email_found OR phone_found)",
            name=op.f("outcomes_found_check"),
        ),
        sa.CheckConstraint(
            "outcome IN ('delivered', 'excluded', 'rejected', 'unreached')",
            name=op.f("outcomes_outcome_check"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("outcomes_job_id_fkey")
        ),
        sa.PrimaryKeyConstraint("job_id", "record", name=op.f("outcomes_pkey")),
    )
    op.create_table(
        "parts",
        sa.Column("job_id", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.CheckConstraint("records > 0", name=op.f("parts_records_check")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("parts_job_id_fkey")
        ),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("parts_pkey")),
        sa.UniqueConstraint("name", name=op.f("parts_name_key")),
    )
    for guard in GUARDS:
        op.execute(guard)


def downgrade() -> None:
    raise RuntimeError("a ledger is not taken back: restore a backup")
