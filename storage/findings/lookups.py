"""Look-ups: requests to providers, remembered before they are sent.

While an item of a person is open in one request, no other asks for it. A request
whose answer comes later (`deferred`) is sent once: what became of it is told by its
webhook or a poll, and after its deadline it counts as not found. Lock order: the
look-up, its items, then findings.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.plans import Item
from storage.findings import findings
from storage.findings.findings import Key, Memory
from storage.held_jobs import stops_deadlines


class Asked(NamedTuple):
    """One item of one person, in a request."""

    person_id: str
    digest: str
    item: Item

    @property
    def key(self) -> Key:
        """Whom it is about."""
        return Key(self.person_id, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLookup:
    """A request that is about to be sent; `deadline_s` counts from now."""

    id: str
    provider: str
    job_id: str
    chunk_id: int
    deferred: bool
    deadline_s: float


_PREPARE = text("""
INSERT INTO lookups (id, provider, job_id, chunk_id, deferred, deadline)
VALUES (:id, :provider, :job_id, :chunk_id, :deferred,
        holdfast_clock() + make_interval(secs => :deadline_s))
""")

_CLAIM = text("""
INSERT INTO lookup_items (lookup_id, provider, person_id, digest, item)
SELECT :id, :provider, a ->> 0, a ->> 1, a ->> 2
  FROM json_array_elements(CAST(:asked AS json)) AS a
 ORDER BY 3, 4, 5
ON CONFLICT (provider, person_id, digest, item) WHERE open DO NOTHING
RETURNING person_id, digest, item
""")


def prepare(
    connection: Connection, new: NewLookup, asked: Collection[Asked]
) -> set[Key]:
    """Remember a request; the persons in it, without those another is asking for.

    Without any, nothing is remembered.
    """
    given = {
        "id": new.id,
        "provider": new.provider,
        "job_id": new.job_id,
        "chunk_id": new.chunk_id,
        "deferred": new.deferred,
        "deadline_s": new.deadline_s,
    }
    connection.execute(_PREPARE, given)
    rows = connection.execute(
        _CLAIM,
        {"id": new.id, "provider": new.provider, "asked": json.dumps(list(asked))},
    )
    got = {Asked(person_id, digest, Item(item)) for person_id, digest, item in rows}
    held = {one.key for one in asked if one not in got}
    persons = {one.key for one in asked} - held
    if not persons:
        withdraw(connection, new.id)
    elif held:
        _release(connection, new.id, held)
    return persons


def _release(connection: Connection, lookup_id: str, keys: Iterable[Key]) -> None:
    connection.execute(
        text("""
            DELETE FROM lookup_items AS i
             USING json_array_elements(CAST(:keys AS json)) AS k
             WHERE i.lookup_id = :id AND i.person_id = (k ->> 0) COLLATE "C"
               AND i.digest = (k ->> 1) COLLATE "C" """),
        {"id": lookup_id, "keys": json.dumps(list(keys))},
    )


def withdraw(connection: Connection, lookup_id: str) -> None:
    """Forget a request that did not reach the provider, or was answered at once."""
    connection.execute(
        text("DELETE FROM lookups WHERE id = :id AND state = 'prepared'"),
        {"id": lookup_id},
    )


def let_go(connection: Connection, chunk_id: int) -> None:
    """Forget what an earlier attempt of a chunk was asking at once when it ended."""
    connection.execute(
        text("DELETE FROM lookups WHERE chunk_id = :chunk_id AND NOT deferred"),
        {"chunk_id": chunk_id},
    )


def sent(connection: Connection, lookup_id: str, vendor_id: str) -> None:
    """The provider took the request; its answer may have been here before this."""
    connection.execute(
        text("""
            UPDATE lookups SET state = 'sent', vendor_id = :vendor_id,
                   asked_at = clock_timestamp()
             WHERE id = :id AND state = 'prepared'"""),
        {"id": lookup_id, "vendor_id": vendor_id},
    )


class Open(NamedTuple):
    """An item whose answer is expected, and the request that asks for it."""

    asked: Asked
    provider: str
    lookup_id: str
    vendor_id: str | None
    deferred: bool
    left_s: float


_OPEN = text("""
SELECT i.person_id, i.digest, i.item, i.provider, l.id, l.vendor_id, l.deferred,
       greatest(0, CAST(EXTRACT(epoch FROM l.deadline - (SELECT holdfast_clock()))
                        AS double precision))
  FROM json_array_elements(CAST(:keys AS json)) AS k
  JOIN lookup_items AS i ON i.person_id = (k ->> 0) COLLATE "C"
   AND i.digest = (k ->> 1) COLLATE "C" AND i.open
  JOIN lookups AS l ON l.id = i.lookup_id
""")


def open_for(connection: Connection, keys: Collection[Key]) -> list[Open]:
    """Which items of these persons are being asked for, by whomever."""
    rows = connection.execute(_OPEN, {"keys": json.dumps(list(keys))})
    return [
        Open(Asked(person_id, digest, Item(item)), *request)
        for person_id, digest, item, *request in rows
    ]


def take_polls(
    connection: Connection, lookup_ids: Collection[str], *, every_s: float
) -> list[tuple[str, str]]:
    """Those to be asked about now, with the provider's ids, each once in `every_s`."""
    rows = connection.execute(
        text("""
            UPDATE lookups SET asked_at = clock_timestamp()
             WHERE id IN (
               SELECT id FROM lookups
                WHERE id = ANY(CAST(:ids AS text[])) AND state = 'sent'
                  AND asked_at <= clock_timestamp() - make_interval(secs => :every_s)
                ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
            RETURNING id, vendor_id"""),
        {"ids": list(lookup_ids), "every_s": every_s},
    )
    return [(lookup_id, vendor_id) for lookup_id, vendor_id in rows]


class Matched(NamedTuple):
    """The request that an answer belongs to."""

    id: str
    provider: str
    job_id: str
    chunk_id: int


def match(
    connection: Connection, provider: str, *, request_id: str | None, vendor_id: str
) -> Matched | None:
    """Lock the request that an answer is to, by our id, else by the provider's.

    One of which it was not known what became of it has its provider's id from then on.
    """
    row = connection.execute(
        text("""
            SELECT id, provider, job_id, chunk_id, vendor_id FROM lookups
             WHERE provider = :provider AND deferred
               AND (id = :request_id OR vendor_id = :vendor_id)
             ORDER BY id = :request_id DESC NULLS LAST LIMIT 1 FOR NO KEY UPDATE"""),
        {"provider": provider, "request_id": request_id, "vendor_id": vendor_id},
    ).one_or_none()
    if row is None:
        return None
    if row.vendor_id is None:
        sent(connection, row.id, vendor_id)
    return Matched(row.id, row.provider, row.job_id, row.chunk_id)


def answer(
    connection: Connection, lookup_id: str, persons: Collection[str]
) -> list[Asked]:
    """Close the items of these persons; those that had not been answered before.

    Their ids come without white space around them; those that were asked of before may
    have some.
    """
    rows = connection.execute(
        text("""
            UPDATE lookup_items SET open = false, answered_at = clock_timestamp()
             WHERE lookup_id = :id AND answered_at IS NULL
               AND holdfast_trimmed(person_id) = ANY(CAST(:persons AS text[]))
            RETURNING person_id, digest, item"""),
        {"id": lookup_id, "persons": list(persons)},
    )
    return [Asked(person_id, digest, Item(item)) for person_id, digest, item in rows]


def end(connection: Connection, lookup_id: str) -> list[Asked]:
    """Expect nothing more of a request; the items that it left out."""
    connection.execute(
        text("""
            UPDATE lookups SET state = 'answered',
                   ended_at = coalesce(ended_at, clock_timestamp())
             WHERE id = :id"""),
        {"id": lookup_id},
    )
    return _close(connection, [lookup_id])


def _close(connection: Connection, lookup_ids: Sequence[str]) -> list[Asked]:
    rows = connection.execute(
        text("""
            UPDATE lookup_items SET open = false
             WHERE lookup_id = ANY(CAST(:ids AS text[])) AND open
            RETURNING person_id, digest, item"""),
        {"ids": list(lookup_ids)},
    )
    return [Asked(person_id, digest, Item(item)) for person_id, digest, item in rows]


def expire(connection: Connection, *, limit: int) -> list[str]:
    """End requests whose deadline has passed; those that were deferred.

    Not of jobs that are held, nor those that a paused provider is not asked about.
    What they asked for counts as not found. What was to be answered at once may be
    asked again.
    """
    rows = connection.execute(
        text(f"""
            SELECT id, provider, deferred FROM lookups
             WHERE ended_at IS NULL AND deadline <= (SELECT holdfast_clock())
               AND NOT (SELECT {stops_deadlines("jobs")} FROM jobs
                         WHERE jobs.id = lookups.job_id)
             ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED"""),  # noqa: S608 - constants only
        {"limit": limit},
    ).all()
    for row in rows:
        if not row.deferred:
            withdraw(connection, row.id)
            continue
        connection.execute(
            text("""
                UPDATE lookups SET state = 'expired', ended_at = clock_timestamp()
                 WHERE id = :id"""),
            {"id": row.id},
        )
        findings.keep(
            connection,
            [Memory(*asked, row.provider) for asked in _close(connection, [row.id])],
        )
    return [row.id for row in rows if row.deferred]


def wake(connection: Connection, chunk_id: int) -> None:
    """Let a chunk that waits go on now, once nothing it has asked for is open."""
    connection.execute(
        text("""
            UPDATE chunks SET run_at = clock_timestamp()
             WHERE id = :id AND state = 'pending' AND run_at > clock_timestamp()
               AND NOT EXISTS (
                   SELECT 1 FROM lookups
                    WHERE chunk_id = :id AND deferred AND ended_at IS NULL)"""),
        {"id": chunk_id},
    )


def wake_if_ended(
    connection: Connection, chunk_id: int, lookup_ids: Collection[str]
) -> None:
    """The same where these ended while the chunk was being given back."""
    connection.execute(
        text("""
            UPDATE chunks SET run_at = clock_timestamp()
             WHERE id = :id AND state = 'pending'
               AND NOT EXISTS (
                   SELECT 1 FROM lookups
                    WHERE id = ANY(CAST(:ids AS text[])) AND ended_at IS NULL)"""),
        {"id": chunk_id, "ids": list(lookup_ids)},
    )


def forget(connection: Connection, *, after_s: float, limit: int) -> int:
    """Remove requests that ended so long ago."""
    return connection.execute(
        text("""
            DELETE FROM lookups WHERE id = ANY (ARRAY(
              SELECT id FROM lookups
               WHERE ended_at < (
                     SELECT holdfast_confirmed_clock() - make_interval(
                              secs => :after_s))
               ORDER BY ended_at LIMIT :limit FOR UPDATE SKIP LOCKED))"""),
        {"after_s": after_s, "limit": limit},
    ).rowcount
