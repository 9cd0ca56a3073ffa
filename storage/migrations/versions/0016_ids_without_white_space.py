"""ids without the white space around them, and charges for what is in no column."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# An item that exports retrieved though their columns do not hold it.
_LACKING = """
CREATE TEMPORARY TABLE lacking ON COMMIT DROP AS
SELECT q.id AS quote_id, q.license_id, q.user_id, q.quoted_at, item,
       q.export -> 'columns' AS columns
  FROM quotes AS q CROSS JOIN unnest(q.retrieve) AS item
 WHERE q.kind = 'export' AND jsonb_typeof(q.export -> 'columns') = 'array'
   AND NOT q.export -> 'columns' @> jsonb_build_array(jsonb_build_object('field', item))
"""

_TELL_OF_TEMPLATES = """
INSERT INTO notifications (license_id, user_id, code, message)
SELECT license_id, user_id, 'template_without_column',
       format('template %s has no column for %s, which quotes with it retrieve: they '
              'are refused until it has one', name, items)
  FROM (SELECT t.license_id, t.name,
               string_agg(DISTINCT l.item, ' and ' ORDER BY l.item) AS items,
               (array_agg(l.user_id ORDER BY l.quoted_at DESC))[1] AS user_id
          FROM templates AS t JOIN lacking AS l
            ON l.license_id = t.license_id AND l.columns = t.export -> 'columns'
         GROUP BY t.license_id, t.name) AS wrong
 ORDER BY license_id, name
"""

_TELL_OF_CHARGES = """
INSERT INTO notifications (license_id, user_id, code, message)
SELECT license_id, user_id, 'charged_without_column',
       format('%s charges, %s credits, were for e-mails or phones that are in no column '
              'of the files of these jobs, and can be refunded: %s', lines, credits,
              jobs)
  FROM (SELECT c.license_id, c.user_id, count(*) AS lines, sum(c.credits) AS credits,
               string_agg(DISTINCT c.job_id, ', ' ORDER BY c.job_id) AS jobs
          FROM lacking AS l JOIN jobs AS j ON j.quote_id = l.quote_id
          JOIN charges AS c ON c.job_id = j.id AND c.item = l.item
         WHERE c.credits > 0
           AND NOT EXISTS (SELECT 1 FROM refunds WHERE charge_id = c.id)
         GROUP BY c.license_id, c.user_id) AS wrong
 ORDER BY license_id, user_id
"""


def upgrade() -> None:
    op.add_column("uploads", sa.Column("trimmed", sa.Integer()))
    op.add_column(
        "quotes",
        sa.Column("trimmed", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )
    _find_ids_of_before()
    op.execute(_LACKING)
    op.execute(_TELL_OF_TEMPLATES)
    op.execute(_TELL_OF_CHARGES)


def downgrade() -> None:
    raise RuntimeError("the ledger is never taken back: restore a backup instead")


def _find_ids_of_before() -> None:
    """Stored ids stay as they are; those with white space around them are few."""
    op.create_index(
        "outcomes_spaced_idx",
        "outcomes",
        [
            "license_id",
            sa.text("holdfast_trimmed(company_id)"),
            sa.text("holdfast_trimmed(person_id)"),
        ],
        postgresql_where=sa.text(
            "outcome = 'delivered' AND (company_id <> holdfast_trimmed(company_id)"
            " OR person_id <> holdfast_trimmed(person_id))"
        ),
    )
    op.create_index(
        "id_map_spaced_idx",
        "id_map",
        ["connection_id", "kind", sa.text("holdfast_trimmed(our_id)")],
        postgresql_where=sa.text("our_id <> holdfast_trimmed(our_id)"),
    )
    for table in ("findings", "directory"):
        op.create_index(
            f"{table}_spaced_idx",
            table,
            [sa.text("holdfast_trimmed(person_id)")],
            postgresql_where=sa.text("person_id <> holdfast_trimmed(person_id)"),
        )
    op.create_index(
        "erasures_trimmed_idx", "erasures", [sa.text("holdfast_trimmed(person_id)")]
    )
