"""what entitlements stand on: each use with its charge, ids without white space."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
INSTANT = sa.DateTime(timezone=True)

TRIMMED = r"""
CREATE OR REPLACE FUNCTION holdfast_trimmed(id text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT btrim(id, E'\t\n\u000b\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680'
     '\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a'
     '\u2028\u2029\u202f\u205f\u3000') $$
"""


def upgrade() -> None:
    op.execute(TRIMMED)
    _widen_charges()
    _widen_quotes()
    _widen_entitlements()
    _name_forgotten_payers()
    _compute_entitlements()


def downgrade() -> None:
    raise RuntimeError("what was paid for is not forgotten: restore a backup instead")


def _widen_charges() -> None:
    op.add_column("charges", sa.Column("also_digest", ID))
    op.add_column("charges", sa.Column("free_because", ID))
    op.create_check_constraint("also_digest", "charges", "also_digest <> digest")
    op.create_check_constraint(
        "free_because",
        "charges",
        "free_because IS NULL OR (view_id IS NOT NULL AND credits = 0"
        " AND free_because IN ('exported', 'viewed'))",
    )


def _widen_quotes() -> None:
    # Of what was quoted before nobody knows.
    op.add_column("quotes", sa.Column("free_on", postgresql.INT8MULTIRANGE()))
    op.create_index(
        "quotes_free_on_idx",
        "quotes",
        ["license_id", "expires_at"],
        postgresql_where=sa.text("free_on IS NOT NULL"),
    )


def _widen_entitlements() -> None:
    op.drop_column("entitlements", "paid_by")
    op.add_column("entitlements", sa.Column("exported_by", sa.BigInteger()))
    op.add_column("entitlements", sa.Column("viewed_by", sa.BigInteger()))
    op.add_column(
        "entitlements", sa.Column("former_payers", postgresql.ARRAY(sa.BigInteger()))
    )
    op.execute("TRUNCATE entitlements")
    op.create_check_constraint(
        "stands",
        "entitlements",
        "(exported_at IS NULL) = (exported_by IS NULL)"
        " AND (viewed_at IS NULL) = (viewed_by IS NULL)",
    )


def _name_forgotten_payers() -> None:
    """A line that stayed free after a refund stands on whoever else had paid by then.

    Only the last payer was remembered, so its line named nobody. This is the one thing
    of a charge that is brought up later: the trigger is put aside for it.
    """
    op.execute("ALTER TABLE charges DISABLE TRIGGER charges_append_only")
    op.execute("""
        UPDATE charges AS c SET paid_by = found.payer
          FROM (SELECT DISTINCT ON (free.id) free.id,
                       coalesce(used.paid_by, used.id) AS payer
                  FROM charges AS free
                  JOIN jobs AS j ON j.id = free.job_id
                  JOIN quotes AS q ON q.id = j.quote_id
                  JOIN charges AS used
                    ON used.license_id = free.license_id AND used.item = free.item
                   AND used.subject = free.subject AND used.digest = free.digest
                   AND used.charged_at < free.charged_at
                   AND used.charged_at >= date_trunc('second', q.quoted_at)
                       - make_interval(days => (q.terms ->> 'window_days')::integer)
                   AND (used.view_id IS NULL
                        OR (q.terms ->> 'views_count')::boolean)
                   AND (used.credits > 0 OR used.paid_by IS NOT NULL)
                 WHERE free.rule = 'free_as_quoted' AND free.paid_by IS NULL
                   AND NOT EXISTS (
                       SELECT 1 FROM refunds AS r
                        WHERE r.charge_id = coalesce(used.paid_by, used.id)
                          AND r.refunded_at <= free.charged_at)
                 ORDER BY free.id, used.view_id IS NULL DESC, used.charged_at DESC,
                          used.id DESC) AS found
         WHERE found.id = c.id""")
    op.execute("ALTER TABLE charges ENABLE TRIGGER charges_append_only")


def _compute_entitlements() -> None:
    """One for each line, also where nothing stands: a job finds its line by it."""
    op.execute("""
        INSERT INTO entitlements (license_id, item, subject, digest, exported_at,
                                  exported_by, viewed_at, viewed_by, former_payers)
        SELECT license_id, item, subject, digest, exported_at, exported_by, viewed_at,
               viewed_by, nullif(array_remove(array_remove(
                 payers, exported_by), viewed_by), '{}')
          FROM (SELECT license_id, item, subject, digest,
                       max(at) FILTER (WHERE is_job) AS exported_at,
                       (array_agg(stands_on ORDER BY at DESC, id DESC)
                          FILTER (WHERE is_job))[1] AS exported_by,
                       max(at) FILTER (WHERE is_view) AS viewed_at,
                       (array_agg(stands_on ORDER BY at DESC, id DESC)
                          FILTER (WHERE is_view))[1] AS viewed_by,
                       array_agg(DISTINCT stands_on) FILTER (WHERE is_job OR is_view)
                         AS payers
                  FROM (SELECT c.id, c.license_id, c.item, c.digest,
                               holdfast_trimmed(c.subject) AS subject, c.charged_at AS at,
                               stands AND c.job_id IS NOT NULL AS is_job,
                               stands AND c.view_id IS NOT NULL AS is_view,
                               coalesce(c.paid_by, c.id) AS stands_on
                          FROM charges AS c
                          LEFT JOIN refunds AS r
                            ON r.charge_id = coalesce(c.paid_by, c.id)
                         CROSS JOIN LATERAL (
                               SELECT r.charge_id IS NULL AND (
                                   c.credits > 0 OR c.paid_by IS NOT NULL) AS stands)
                               AS whether
                         WHERE c.rule <> 'unchanged') AS line
                 GROUP BY license_id, item, subject, digest) AS entitled""")
