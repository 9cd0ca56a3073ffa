"""Chunks that are taken from whoever runs them, and go on from their cursors.

The new attempt fences off whoever ran it: what is settled by then stays settled, what
was about to be is done again. Of a chunk in doubt a request may be under way to a CRM;
it has ended when the lease has, so the chunk waits for that, and whoever takes it then
asks what became of it.
"""

from sqlalchemy import Connection, text

_RECALLED = """
UPDATE chunks
   SET state = 'pending', attempt = attempt + 1, owner = NULL, lease_until = NULL,
       last_error = :why,
       run_at = CASE WHEN doubted_at IS NULL THEN clock_timestamp()
                     ELSE greatest(lease_until, clock_timestamp()) END
"""


def recall(connection: Connection, chunk_id: int, *, why: str) -> bool:
    """Take a chunk from its worker; False where nobody runs it."""
    moved = connection.execute(
        text(f"{_RECALLED} WHERE id = :id AND state = 'running'"),
        {"id": chunk_id, "why": why},
    )
    return moved.rowcount == 1


def recall_all_of(connection: Connection, worker: str, *, why: str) -> int:
    """Take all chunks that a worker's processes run; how many there were."""
    moved = connection.execute(
        text(f"""
            {_RECALLED} WHERE id IN (
              SELECT id FROM chunks
               WHERE state = 'running' AND split_part(owner, '/', 1) = :worker
               ORDER BY id FOR NO KEY UPDATE)
               AND state = 'running'"""),  # noqa: S608 - a constant
        {"worker": worker, "why": why},
    )
    return moved.rowcount
