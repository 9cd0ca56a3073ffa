"""mapped uploads: files whose columns are mapped, templates of that, derived ids.

Code of before goes on beside it: it sees an upload whose columns are not mapped yet as
one that was removed.
"""

from alembic import op

revision = "0037"
down_revision = "0034"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE uploads ADD COLUMN raw text;
ALTER TABLE uploads ADD COLUMN content_type text;
ALTER TABLE uploads ADD COLUMN problem_file text;
ALTER TABLE uploads ADD COLUMN noticed jsonb;
ALTER TABLE uploads ADD COLUMN quoted_at timestamptz;
ALTER TABLE quotes ADD COLUMN noticed jsonb;
DROP INDEX uploads_kept_idx;
CREATE INDEX uploads_kept_idx ON uploads (created_at)
 WHERE artifact IS NOT NULL OR raw IS NOT NULL OR problem_file IS NOT NULL;
CREATE INDEX uploads_raw_idx ON uploads (raw) WHERE raw IS NOT NULL;
CREATE INDEX uploads_problem_file_idx ON uploads (problem_file)
 WHERE problem_file IS NOT NULL;
CREATE TABLE upload_templates (
  license_id text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  fingerprint text,
  template jsonb NOT NULL,
  changed_at timestamptz DEFAULT clock_timestamp() NOT NULL,
  CONSTRAINT upload_templates_pkey PRIMARY KEY (license_id, name),
  CONSTRAINT upload_templates_license_id_fkey FOREIGN KEY (license_id)
    REFERENCES licenses (id)
);
CREATE INDEX upload_templates_fingerprint_idx
    ON upload_templates (license_id, fingerprint) WHERE fingerprint IS NOT NULL;
CREATE TABLE derivation_keys (
  id bigint GENERATED ALWAYS AS IDENTITY,
  license_id text COLLATE "C" NOT NULL,
  secret text NOT NULL,
  created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
  CONSTRAINT derivation_keys_pkey PRIMARY KEY (id),
  CONSTRAINT derivation_keys_license_id_fkey FOREIGN KEY (license_id)
    REFERENCES licenses (id),
  CONSTRAINT derivation_keys_license_id_key UNIQUE (license_id)
);
CREATE TABLE suffix_lists (
  version text COLLATE "C" NOT NULL,
  list text NOT NULL,
  CONSTRAINT suffix_lists_pkey PRIMARY KEY (version)
)
"""


def upgrade() -> None:
    """Keep the files as they came, what was seen in them, and how they are mapped."""
    for statement in STATEMENTS.split(";"):
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
