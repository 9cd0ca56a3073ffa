"""Intents: what a push is about to send, kept from before until it is settled.

A worker may die, or a CRM keep silent, between the sending and the settlement. Whoever
runs the batch again does what its intents say, and so tells the same of each record and
charges the same, although the CRM by then holds what the first try has sent.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from storage.connections.id_map import Key
from storage.crm_changes import Change
from storage.jobs.chunks import ChunkSlice


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One company or person that is to be created or updated.

    `fields` are the names of what is written; `their_id` is the record of the CRM that
    is written to, where it is known.
    """

    kind: str
    our_id: str
    change: Change
    their_id: str | None
    fields: tuple[str, ...]


def put(connection: Connection, slice_: ChunkSlice, intents: Sequence[Intent]) -> None:
    """Keep intents; what is intended already stays, with what more is to be written."""
    rows = [
        [one.kind, one.our_id, one.change, one.their_id, one.fields]
        for one in sorted(intents, key=lambda one: (one.kind, one.our_id))
    ]
    connection.execute(
        text("""
            INSERT INTO intents AS old (job_id, first_line, kind, our_id, change,
                                        their_id, fields)
            SELECT :job_id, :first_line, i ->> 0, i ->> 1, i ->> 2, i ->> 3,
                   ARRAY(SELECT json_array_elements_text(i -> 4))
              FROM json_array_elements(CAST(:intents AS json)) AS i
            ON CONFLICT (job_id, first_line, kind, our_id) DO UPDATE
               SET fields = ARRAY(SELECT unnest(old.fields)
                                  UNION SELECT unnest(excluded.fields))"""),
        {**slice_._asdict(), "intents": json.dumps(rows)},
    )


def of(connection: Connection, slice_: ChunkSlice) -> dict[Key, Intent]:
    """What a chunk was about to do, and nobody knows what became of."""
    rows = connection.execute(
        text("""
            SELECT kind, our_id, change, their_id, fields FROM intents
             WHERE job_id = :job_id AND first_line = :first_line"""),
        slice_._asdict(),
    )
    return {
        Key(kind, our_id): Intent(
            kind=kind,
            our_id=our_id,
            change=Change(change),
            their_id=their_id,
            fields=tuple(fields),
        )
        for kind, our_id, change, their_id, fields in rows
    }


def forget(connection: Connection, slice_: ChunkSlice, keys: Collection[Key]) -> None:
    """Let go of what has been settled, or was never sent."""
    connection.execute(
        text("""
            DELETE FROM intents AS i
             USING json_array_elements(CAST(:keys AS json)) AS k
             WHERE i.job_id = :job_id AND i.first_line = :first_line
               AND i.kind = k ->> 0 AND i.our_id = (k ->> 1) COLLATE "C" """),
        {**slice_._asdict(), "keys": json.dumps(sorted(keys))},
    )


def forget_job(connection: Connection, job_id: str) -> None:
    """Let go of what nobody could find out any more; the job ends now."""
    connection.execute(
        text("DELETE FROM intents WHERE job_id = :job_id"), {"job_id": job_id}
    )
