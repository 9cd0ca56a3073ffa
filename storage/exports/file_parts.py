"""Parts: the rows of an export's batch, as its checkpoint recorded them."""

from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.settlement import Outcome
from storage.files.artifacts import Written
from storage.jobs.chunks import Batch, TakenChunk

_KEEP = text("""
INSERT INTO parts (job_id, position, name, records, bytes, sha256)
VALUES (:job_id, :position, :name, :records, :bytes, :sha256)
""")


def keep(
    connection: Connection, chunk: TakenChunk, batch: Batch, *, part: Written
) -> None:
    """Record a part, in the transaction that settles its batch."""
    connection.execute(
        _KEEP,
        {
            "job_id": chunk.job_id,
            "position": batch.start,
            "name": part.name,
            "records": batch.count(Outcome.DELIVERED),
            "bytes": part.bytes,
            "sha256": part.sha256,
        },
    )


class Part(NamedTuple):
    """A part of a job's file, as the checkpoint recorded it."""

    name: str
    bytes: int
    sha256: str
    records: int


_OF_JOB = text("""
SELECT name, bytes, sha256, records FROM parts
 WHERE job_id = :job_id ORDER BY position
""")


def of_job(connection: Connection, job_id: str) -> list[Part]:
    """The parts that were charged for, in the records' own order."""
    rows = connection.execute(
        _OF_JOB,
        {"job_id": job_id},
    )
    return [Part(*row) for row in rows]
