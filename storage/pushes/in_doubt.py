"""Doubts: what a push is about to send, from before it is sent until it is settled."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from storage.connections import id_map
from storage.connections.id_map import Key
from storage.errors import Superseded
from storage.jobs.chunks import TakenChunk
from storage.pushes import intents
from storage.pushes.intents import Intent


def keep(
    connection: Connection,
    chunk: TakenChunk,
    about: Sequence[Intent],
    *,
    stop: int,
    connection_id: str,
    lease_s: float,
) -> datetime:
    """Keep what is about to be sent of a batch, and hold the chunk on; the moment.

    From now on the chunk is in doubt, until its batch is settled: it will be run again,
    even of a job that is being cancelled, and whatever else becomes of it, nothing of
    it is taken for unchanged. Raises `Superseded` as a checkpoint does.
    """
    moment: datetime | None = connection.execute(
        text("""
            UPDATE chunks SET doubted_at = coalesce(doubted_at, clock_timestamp()),
                   doubt_stop = greatest(doubt_stop, :stop),
                   lease_until = clock_timestamp() + make_interval(secs => :lease_s)
             WHERE id = :id AND attempt = :attempt AND state = 'running'
            RETURNING holdfast_now()"""),
        {
            "id": chunk.id,
            "attempt": chunk.attempt,
            "stop": stop,
            "lease_s": lease_s,
        },
    ).scalar_one_or_none()
    if moment is None:
        raise Superseded(f"chunk {chunk.id} is not at attempt {chunk.attempt} any more")
    intents.put(connection, chunk.job_id, chunk.id, about)
    keys = [Key(one.kind, one.our_id) for one in about]
    id_map.blur(connection, connection_id, keys)
    return moment


def take_back(connection: Connection, chunk: TakenChunk) -> None:
    """Take a doubt back: nothing of what was about to be sent has been.

    What a try before has left stays: it is the other half's of a chunk that was split.

    Raises `Superseded` as a checkpoint does.
    """
    moved = connection.execute(
        text("""
            UPDATE chunks SET doubted_at = NULL, doubt_stop = NULL, conclude_at = NULL
             WHERE id = :id AND attempt = :attempt AND state = 'running'"""),
        {"id": chunk.id, "attempt": chunk.attempt},
    )
    if moved.rowcount == 0:
        raise Superseded(f"chunk {chunk.id} is not at attempt {chunk.attempt} any more")
    intents.settled(connection, chunk.job_id, chunk.id)
