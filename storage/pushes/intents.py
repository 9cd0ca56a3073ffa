"""Intents: what a push is about to send, kept from before until it is settled.

A worker may die, or a CRM keep silent, between the sending and the settlement. Whoever
runs the batch again does what its intents say, and so tells the same of each record and
charges the same, although the CRM by then holds what the first try has sent.

While a chunk runs its intents are rows by columns, which its checkpoint removes as they
are. Whatever makes it stop in doubt takes them apart: from then on each stands by
itself, for a chunk may be split, and each half settles its own.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.array_literals import array
from storage.connections.id_map import Key
from storage.crm_changes import Change
from storage.jobs.chunks import ChunkSlice


class Intent(NamedTuple):
    """One company or person that is to be created or updated.

    `fields` are the names of what is written; `their_id` is the record of the CRM that
    is written to, where it is known.
    """

    kind: str
    our_id: str
    change: Change
    their_id: str | None
    fields: tuple[str, ...]


def put(
    connection: Connection, job_id: str, chunk_id: int, intents: Sequence[Intent]
) -> None:
    """Keep what a running chunk is about to do, until it has settled it or stops.

    What is intended already stays, with what more is to be written.
    """
    alike: dict[tuple[str, str, tuple[str, ...]], list[Intent]] = defaultdict(list)
    for one in intents:
        alike[one.kind, one.change, one.fields].append(one)
    rows = [
        {
            "job_id": job_id,
            "chunk_id": chunk_id,
            "kind": kind,
            "change": change,
            "fields": array(fields),
            "our_ids": array([one.our_id for one in some]),
            "their_ids": _their_ids(some),
        }
        for (kind, change, fields), some in alike.items()
    ]
    connection.execute(
        text("""
            INSERT INTO intent_batches (job_id, chunk_id, kind, change, fields, our_ids,
                                        their_ids)
            VALUES (:job_id, :chunk_id, :kind, :change, CAST(:fields AS text[]),
                    CAST(:our_ids AS text[]), CAST(:their_ids AS text[]))"""),
        rows,
    )


def _their_ids(intents: Sequence[Intent]) -> str | None:
    """The array of what they write to; none at all where that is known of nobody."""
    theirs = [one.their_id for one in intents]
    return array(theirs) if any(theirs) else None


def settled(connection: Connection, job_id: str, chunk_id: int) -> None:
    """Let go of what a running chunk was about to do: settled now, or never sent."""
    connection.execute(
        text("""
            DELETE FROM intent_batches
             WHERE job_id = :job_id AND chunk_id = :chunk_id"""),
        {"job_id": job_id, "chunk_id": chunk_id},
    )


def of(connection: Connection, slice_: ChunkSlice) -> dict[Key, Intent]:
    """What tries of a chunk were about to do that stopped before it was settled."""
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
    """Let go of what such tries were about to do: it has been settled."""
    if not keys:
        return
    kinds, ours = zip(*sorted(keys), strict=True)
    connection.execute(
        text("""
            DELETE FROM intents AS i
             USING unnest(CAST(:kinds AS text[]), CAST(:ours AS text[]))
                AS settled (kind, our_id)
             WHERE i.job_id = :job_id AND i.first_line = :first_line
               AND i.kind = settled.kind AND i.our_id = settled.our_id COLLATE "C" """),
        {**slice_._asdict(), "kinds": array(kinds), "ours": array(ours)},
    )


def forget_job(connection: Connection, job_id: str) -> None:
    """Let go of what nobody could find out any more; the job ends now."""
    for table in ("intent_batches", "intents"):
        connection.execute(
            text(f"DELETE FROM {table} WHERE job_id = :job_id"),  # noqa: S608 - constants
            {"job_id": job_id},
        )
