"""The id map: what is in a license's CRM of what we have sent, by their id and ours.

A digest tells whether the same would be sent again. It is written with the settlement
of what was sent, never before: what a lost batch has sent must be sent, and paid for,
once more.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.array_literals import array


class Key(NamedTuple):
    """A `company` or a `person`, by our id."""

    kind: str
    our_id: str


class Entry(NamedTuple):
    """One company or person in the CRM, and digests of what was sent of it.

    An empty digest says that it has to be sent again in any case. `input_digest` is
    what older versions have kept of it without what was found, so that a dry run can
    tell: a digest by parts tells that by itself.
    """

    kind: str
    our_id: str
    their_id: str
    digest: str
    input_digest: str = ""

    @property
    def key(self) -> Key:
        """What it is looked up by."""
        return Key(self.kind, self.our_id)


# Each id is looked up by itself: of a connection with a million records, a plan that
# reads them all costs a batch as much as a thousand that do not.
_OF = text("""
SELECT m.*, asked.id AS our_id, true AS is_exact
  FROM unnest(CAST(:ours AS text[])) AS asked (id)
 CROSS JOIN LATERAL (
       SELECT kind, their_id, digest, input_digest, to_timestamp(0) AS sent_at
         FROM id_map
        WHERE connection_id = :connection_id AND kind = :kind
          AND our_id = asked.id COLLATE "C"
       OFFSET 0) AS m
UNION ALL
SELECT m.*, asked.id, false
  FROM unnest(CAST(:ours AS text[])) AS asked (id)
 CROSS JOIN LATERAL (
       SELECT kind, their_id, digest, input_digest, sent_at
         FROM id_map
        WHERE connection_id = :connection_id AND kind = :kind
          AND our_id <> holdfast_trimmed(our_id)
          AND holdfast_trimmed(our_id) = asked.id COLLATE "C"
       OFFSET 0) AS m
 ORDER BY is_exact, sent_at
""")


def of(
    connection: Connection, connection_id: str, kind: str, ours: Collection[str]
) -> dict[str, Entry]:
    """What is known of these, by our ids.

    Where an id is not known, it may be with white space around it, as of before.
    """
    if not ours:
        return {}
    asked = {"connection_id": connection_id, "kind": kind, "ours": array(list(ours))}
    rows = connection.execute(_OF, asked)
    # Of two of one id the last counts.
    return {
        row.our_id: Entry(
            kind=row.kind,
            our_id=row.our_id,
            their_id=row.their_id,
            digest=row.digest,
            input_digest=row.input_digest,
        )
        for row in rows
    }


# What has our own id there has no entry in the index of theirs.
_OURS = text("""
SELECT asked.id AS their_id, m.our_id
  FROM unnest(CAST(:theirs AS text[])) AS asked (id)
 CROSS JOIN LATERAL (
       SELECT our_id FROM id_map
        WHERE connection_id = :connection_id AND kind = :kind
          AND their_id = asked.id COLLATE "C" AND their_id <> our_id
       UNION ALL
       SELECT our_id FROM id_map
        WHERE connection_id = :connection_id AND kind = :kind
          AND our_id = asked.id COLLATE "C" AND their_id = our_id
       OFFSET 0) AS m
""")


def ours(
    connection: Connection, connection_id: str, kind: str, theirs: Collection[str]
) -> dict[str, str]:
    """Our ids of records of the CRM, as far as they are ours."""
    if not theirs:
        return {}
    asked = {"connection_id": connection_id, "kind": kind}
    rows = connection.execute(_OURS, asked | {"theirs": array(list(theirs))})
    return {row.their_id: row.our_id for row in rows}


def keep(
    connection: Connection,
    connection_id: str,
    entries: Iterable[Entry],
    sent_at: datetime,
) -> None:
    """Remember what was sent; what another batch has sent after it stays."""
    rows = sorted(entries)
    if not rows:
        return
    connection.execute(
        text("""
            INSERT INTO id_map AS m (connection_id, kind, our_id, their_id, digest,
                                     input_digest, sent_at)
            SELECT :connection_id, sent.*, '', :sent_at
              FROM unnest(CAST(:kinds AS text[]), CAST(:ours AS text[]),
                          CAST(:theirs AS text[]), CAST(:digests AS text[])) AS sent
            ON CONFLICT (connection_id, kind, our_id) DO UPDATE
               SET their_id = excluded.their_id, digest = excluded.digest,
                   input_digest = excluded.input_digest, sent_at = excluded.sent_at
             WHERE m.sent_at <= excluded.sent_at"""),
        {
            "connection_id": connection_id,
            "kinds": array([entry.kind for entry in rows]),
            "ours": array([entry.our_id for entry in rows]),
            "theirs": array([entry.their_id for entry in rows]),
            "digests": array([entry.digest for entry in rows]),
            "sent_at": sent_at,
        },
    )


_BLUR = text("""
UPDATE id_map SET digest = '', input_digest = ''
 WHERE connection_id = :connection_id AND kind = :kind AND our_id = ANY (ARRAY(
       SELECT m.our_id
         FROM unnest(CAST(:ours AS text[])) AS sent (id)
        CROSS JOIN LATERAL (
              SELECT our_id FROM id_map
               WHERE connection_id = :connection_id AND kind = :kind
                 AND our_id = sent.id COLLATE "C"
              UNION ALL
              SELECT our_id FROM id_map
               WHERE connection_id = :connection_id AND kind = :kind
                 AND our_id <> holdfast_trimmed(our_id)
                 AND holdfast_trimmed(our_id) = sent.id COLLATE "C"
              OFFSET 0) AS m))
""")


def blur(connection: Connection, connection_id: str, keys: Collection[Key]) -> None:
    """Take nothing for unchanged that is about to be sent, until it is settled."""
    for kind, some in groupby(sorted(keys), key=lambda key: key.kind):
        ours = array([key.our_id for key in some])
        values = {"connection_id": connection_id, "kind": kind, "ours": ours}
        connection.execute(_BLUR, values)


def note(
    connection: Connection, connection_id: str, kind: str, our_id: str, their_id: str
) -> None:
    """Remember a record that was made before its batch is settled.

    Its digests are empty, for it is neither settled nor paid for; whatever a batch
    keeps of it is later.
    """
    connection.execute(
        text("""
            INSERT INTO id_map AS m (connection_id, kind, our_id, their_id, digest,
                                     input_digest, sent_at)
            VALUES (:connection_id, :kind, :our_id, :their_id, '', '',
                    to_timestamp(0))
            ON CONFLICT (connection_id, kind, our_id) DO UPDATE
               SET their_id = excluded.their_id, digest = '', input_digest = ''"""),
        {
            "connection_id": connection_id,
            "kind": kind,
            "our_id": our_id,
            "their_id": their_id,
        },
    )


# A person is looked up in each connection: few are ever erased.
_ERASE = text("""
DELETE FROM id_map
 WHERE kind = 'person' AND (connection_id, our_id) IN (
       SELECT c.id, m.our_id
         FROM connections AS c
        CROSS JOIN LATERAL (
              SELECT our_id FROM id_map
               WHERE connection_id = c.id AND kind = 'person' AND our_id = :person_id
              UNION ALL
              SELECT our_id FROM id_map
               WHERE connection_id = c.id AND kind = 'person'
                 AND our_id <> holdfast_trimmed(our_id)
                 AND holdfast_trimmed(our_id) = :person_id
              OFFSET 0) AS m
        WHERE CAST(:license_id AS text) IS NULL OR c.license_id = :license_id)
""")


def erase(connection: Connection, person_id: str, license_id: str | None) -> int:
    """Forget a person, for everybody or in the CRMs of one license."""
    asked = {"person_id": person_id, "license_id": license_id}
    return connection.execute(_ERASE, asked).rowcount
