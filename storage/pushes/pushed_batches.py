"""What a push's batch has done in a CRM, kept with its settlement."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from storage.connections import id_map
from storage.jobs.chunks import Batch, TakenChunk
from storage.pushes import intents


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a batch has done in a CRM: what is there, and what is in doubt no more."""

    connection_id: str
    sent_at: datetime
    entries: tuple[id_map.Entry, ...]
    resolved: tuple[id_map.Key, ...] = ()
    """What tries before this one have left in doubt, and is no more."""
    unknown: tuple[id_map.Key, ...] = ()
    """Of which nobody knows what is there."""


def keep(
    connection: Connection, chunk: TakenChunk, batch: Batch, *, pushed: Pushed
) -> None:
    """Remember what was done, in the transaction that settles its batch."""
    del batch
    id_map.keep(connection, pushed.connection_id, pushed.entries, pushed.sent_at)
    id_map.blur(connection, pushed.connection_id, pushed.unknown)
    intents.settled(connection, chunk.job_id, chunk.id)
    intents.forget(connection, chunk.slice, pushed.resolved)
