"""A stuck chunk is taken from its worker: somebody else goes on from its cursor."""

from storage.jobs import job_control
from storage.operations import action_log, chunk_reports, recalled_chunks
from storage.operations.action_log import Acting, Target
from storage.operations.chunk_reports import ChunkReport
from storage.state_machine import ChunkState
from worker.infrastructure.errors import Code, Refused
from worker.jobs.delivery import JobDeps

GIVEN_BACK = "given_back"
"""What a chunk says of itself that was taken from its worker."""

_WAITS = frozenset({ChunkState.PENDING, ChunkState.DISPATCHED})


def give_back(deps: JobDeps, chunk_id: int, by: Acting | None = None) -> bool:
    """Take a chunk from whoever runs it; False where it waits already.

    What its worker does of it from then on is fenced off. Raises `Refused` for a chunk
    that is done or cancelled, or that there is none of.
    """
    with deps.database.transaction() as connection:
        moved = recalled_chunks.recall(connection, chunk_id, why=GIVEN_BACK)
        chunk = chunk_reports.chunk(connection, chunk_id)
        if chunk is None:
            raise Refused(Code.NOT_FOUND, f"there is no chunk {chunk_id}")
        if not moved and chunk.state not in _WAITS:
            raise Refused(Code.WRONG_STATE, f"chunk {chunk_id} is {chunk.state}")
        if moved and by is not None:
            target = Target("chunk", str(chunk_id), chunk.license_id)
            action_log.note(connection, by, "give_back", target)
    with deps.database.transaction() as connection:
        # Where this was the last that ran of a job that is to stop, it has.
        job_control.stop_idle_chunks(
            connection, chunk.job_id, doubt_s=deps.settings.push_doubt_s
        )
        job_control.come_to_rest(connection, chunk.job_id)
    return moved


def report(deps: JobDeps, chunk_id: int) -> ChunkReport:
    """How a chunk stands. Raises `Refused` where there is none."""
    with deps.database.reading() as connection:
        chunk = chunk_reports.chunk(connection, chunk_id)
    if chunk is None:
        raise Refused(Code.NOT_FOUND, f"there is no chunk {chunk_id}")
    return chunk
