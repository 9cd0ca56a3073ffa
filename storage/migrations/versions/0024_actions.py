"""actions: who did what and why, and what became of jobs outside of the normal way.

Code of before goes on beside it: what it does is in no action.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")
STATES = (
    "'queued', 'running', 'pausing', 'paused', 'cancelling', 'finishing', 'succeeded',"
    " 'partial', 'cancelled', 'failed'"
)

WORDS = r"""
CREATE OR REPLACE FUNCTION holdfast_words(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT regexp_replace(lower(name),
     '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007f]+', ' ', 'g') $$
"""

GUARDS = (
    *(
        statement
        for table in ("actions", "job_changes")
        for statement in (
            f"""
CREATE OR REPLACE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION holdfast_refuse_change()
""",
            f"""
CREATE OR REPLACE TRIGGER {table}_never_truncated BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_refuse_change()
""",
        )
    ),
    """
CREATE OR REPLACE FUNCTION holdfast_job_changed() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     IF OLD.state <> NEW.state OR OLD.waiting_reason IS DISTINCT FROM NEW.waiting_reason THEN
       INSERT INTO job_changes (job_id, at, from_state, to_state, waiting_reason, action_id)
       VALUES (NEW.id, holdfast_now(), OLD.state, NEW.state, NEW.waiting_reason,
               CAST(nullif(current_setting('holdfast.action', true), '') AS bigint));
     END IF;
     RETURN NULL;
   END $$
""",
    """
CREATE OR REPLACE TRIGGER jobs_changed AFTER UPDATE OF state ON jobs
FOR EACH ROW WHEN (OLD.state IN ('pausing', 'paused', 'cancelling') OR NEW.state IN ('pausing', 'paused', 'cancelling', 'failed'))
EXECUTE FUNCTION holdfast_job_changed()
""",
)


def upgrade() -> None:
    """Older jobs have no changes: their timelines say what their rows say."""
    _add_actions()
    _add_job_changes()
    _add_searches()
    _add_to_processes()
    for statement in GUARDS:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")


def _add_actions() -> None:
    op.create_table(
        "actions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("at", INSTANT, nullable=False, server_default=NOW),
        sa.Column("key_id", ID, sa.ForeignKey("keys.id", name="actions_key_id_fkey")),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("target_kind", sa.Text(), nullable=False),
        sa.Column("target", ID, nullable=False),
        sa.Column(
            "license_id",
            ID,
            sa.ForeignKey("licenses.id", name="actions_license_id_fkey"),
        ),
        sa.Column("reason", sa.Text()),
        sa.Column("affected", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("bulk_id", ID),
        sa.CheckConstraint(
            "length(reason) BETWEEN 1 AND 500", name=op.f("actions_reason_check")
        ),
        sa.CheckConstraint("affected > 0", name=op.f("actions_affected_check")),
    )
    op.create_index("actions_license_id_id_idx", "actions", ["license_id", "id"])
    op.create_index("actions_target_idx", "actions", ["target_kind", "target", "id"])


def _add_job_changes() -> None:
    op.create_table(
        "job_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column(
            "job_id",
            ID,
            sa.ForeignKey("jobs.id", name="job_changes_job_id_fkey"),
            nullable=False,
        ),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("from_state", sa.Text(), nullable=False),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("waiting_reason", sa.Text()),
        sa.Column(
            "action_id",
            sa.BigInteger(),
            sa.ForeignKey("actions.id", name="job_changes_action_id_fkey"),
        ),
        sa.CheckConstraint(
            f"from_state IN ({STATES})", name=op.f("job_changes_from_state_check")
        ),
        sa.CheckConstraint(
            f"to_state IN ({STATES})", name=op.f("job_changes_to_state_check")
        ),
    )
    op.create_index("job_changes_job_id_idx", "job_changes", ["job_id", "id"])


def _add_searches() -> None:
    op.execute(WORDS)
    op.create_index(
        "jobs_user_id_created_at_idx", "jobs", ["user_id", "created_at", "id"]
    )
    op.create_index("jobs_kind_created_at_idx", "jobs", ["kind", "created_at", "id"])
    op.create_index(
        "jobs_license_id_kind_idx", "jobs", ["license_id", "kind", "created_at", "id"]
    )
    op.create_index(
        "jobs_ended_state_idx",
        "jobs",
        ["state", "created_at", "id"],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "jobs_license_id_ended_state_idx",
        "jobs",
        ["license_id", "state", "created_at", "id"],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "jobs_words_idx",
        "jobs",
        [sa.text("to_tsvector('simple'::regconfig, holdfast_words(name))")],
        postgresql_using="gin",
        postgresql_where=sa.text("name IS NOT NULL AND finished_at IS NOT NULL"),
    )


def _add_to_processes() -> None:
    for column in (
        sa.Column("host", sa.Text()),
        sa.Column("pid", sa.Integer()),
        sa.Column("version", sa.Text()),
        sa.Column("rss_bytes", sa.BigInteger()),
        sa.Column("drain_asked_at", INSTANT),
        sa.Column("draining_since", INSTANT),
    ):
        op.add_column("processes", column)
