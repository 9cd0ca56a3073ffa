"""told of work: whoever hands out work is told of it, and which queues workers read."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TELLS_OF_WORK = (
    """
CREATE OR REPLACE FUNCTION holdfast_tell_of_work() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
     IF EXISTS (SELECT FROM outbox WHERE state = 'pending' AND run_at <= clock_timestamp())
        OR EXISTS (SELECT FROM chunks WHERE state = 'pending' AND run_at <= clock_timestamp()) THEN
       PERFORM pg_notify('holdfast_work', '');
     END IF;
     RETURN NULL;
   END $$
""",
    """
CREATE OR REPLACE TRIGGER chunks_tell_of_new AFTER INSERT ON chunks
FOR EACH STATEMENT EXECUTE FUNCTION holdfast_tell_of_work()
""",
    """
CREATE OR REPLACE TRIGGER chunks_tell_of_work AFTER UPDATE OF state, run_at ON chunks
FOR EACH ROW WHEN ((OLD.state = 'running' AND NEW.state IN ('pending', 'done')) OR (NEW.state = 'pending' AND NEW.run_at < OLD.run_at))
EXECUTE FUNCTION holdfast_tell_of_work()
""",
    """
DO $$ BEGIN
  CREATE CONSTRAINT TRIGGER outbox_tells_of_new AFTER INSERT ON outbox
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION holdfast_tell_of_work();
EXCEPTION WHEN duplicate_object THEN NULL;
END $$
""",
    """
CREATE OR REPLACE TRIGGER outbox_tells_of_work AFTER UPDATE OF state, run_at ON outbox
FOR EACH ROW WHEN ((OLD.state = 'running' AND NEW.state IN ('pending', 'done')) OR (NEW.state = 'pending' AND NEW.run_at < OLD.run_at))
EXECUTE FUNCTION holdfast_tell_of_work()
""",
    """
CREATE OR REPLACE TRIGGER jobs_tell_of_work AFTER UPDATE OF state ON jobs
FOR EACH ROW WHEN (OLD.state IN ('pausing', 'paused') OR NEW.state = 'cancelling')
EXECUTE FUNCTION holdfast_tell_of_work()
""",
)


def upgrade() -> None:
    """Older code leaves the columns alone: it reads and fills the queue of chunks."""
    op.add_column("processes", sa.Column("queues", sa.ARRAY(sa.Text())))
    op.add_column(
        "chunks",
        sa.Column("sent_to", sa.Text(), nullable=False, server_default="chunks"),
    )
    for statement in TELLS_OF_WORK:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("what was done once is not forgotten: restore a backup instead")
