"""The id map: what is in a license's CRM of what we have sent, by their id and ours.

A digest tells whether the same would be sent again. It is written with the settlement
of what was sent, never before: what a lost batch has sent must be sent, and paid for,
once more.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text


class Key(NamedTuple):
    """A `company` or a `person`, by our id."""

    kind: str
    our_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One company or person in the CRM, and digests of what was sent of it.

    `input_digest` leaves out what was found, so that it can be told without looking
    anything up. Empty digests say that it has to be sent again in any case.
    """

    kind: str
    our_id: str
    their_id: str
    digest: str
    input_digest: str

    @property
    def key(self) -> Key:
        """What it is looked up by."""
        return Key(self.kind, self.our_id)


def of(
    connection: Connection, connection_id: str, kind: str, ours: Collection[str]
) -> dict[str, Entry]:
    """What is known of these, by our ids.

    Where an id is not known, it may be with white space around it, as of before.
    """
    rows = connection.execute(
        text("""
            SELECT m.kind, asked.id AS our_id, m.their_id, m.digest, m.input_digest,
                   to_timestamp(0) AS sent_at, true AS is_exact
              FROM json_array_elements_text(CAST(:ours AS json)) AS asked (id)
              JOIN id_map AS m ON m.connection_id = :connection_id
               AND m.kind = :kind AND m.our_id = asked.id COLLATE "C"
            UNION ALL
            SELECT m.kind, asked.id, m.their_id, m.digest, m.input_digest, m.sent_at,
                   false
              FROM json_array_elements_text(CAST(:ours AS json)) AS asked (id)
              JOIN id_map AS m ON m.connection_id = :connection_id
               AND m.kind = :kind AND m.our_id <> holdfast_trimmed(m.our_id)
               AND holdfast_trimmed(m.our_id) = asked.id COLLATE "C"
             ORDER BY is_exact, sent_at"""),
        {
            "connection_id": connection_id,
            "kind": kind,
            "ours": json.dumps(list(ours)),
        },
    )
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


def ours(
    connection: Connection, connection_id: str, kind: str, theirs: Collection[str]
) -> dict[str, str]:
    """Our ids of records of the CRM, as far as they are ours."""
    rows = connection.execute(
        text("""
            SELECT m.their_id, m.our_id
              FROM json_array_elements_text(CAST(:theirs AS json)) AS asked (id)
              JOIN id_map AS m ON m.connection_id = :connection_id
               AND m.kind = :kind AND m.their_id = asked.id COLLATE "C" """),
        {
            "connection_id": connection_id,
            "kind": kind,
            "theirs": json.dumps(list(theirs)),
        },
    )
    return {row.their_id: row.our_id for row in rows}


def keep(
    connection: Connection,
    connection_id: str,
    entries: Iterable[Entry],
    sent_at: datetime,
) -> None:
    """Remember what was sent; what another batch has sent after it stays."""
    rows = [
        [entry.kind, entry.our_id, entry.their_id, entry.digest, entry.input_digest]
        for entry in sorted(entries, key=lambda entry: entry.key)
    ]
    if not rows:
        return
    connection.execute(
        text("""
            INSERT INTO id_map AS m (connection_id, kind, our_id, their_id, digest,
                                     input_digest, sent_at)
            SELECT :connection_id, e ->> 0, e ->> 1, e ->> 2, e ->> 3, e ->> 4, :sent_at
              FROM json_array_elements(CAST(:entries AS json)) AS e
            ON CONFLICT (connection_id, kind, our_id) DO UPDATE
               SET their_id = excluded.their_id, digest = excluded.digest,
                   input_digest = excluded.input_digest, sent_at = excluded.sent_at
             WHERE m.sent_at <= excluded.sent_at"""),
        {
            "connection_id": connection_id,
            "entries": json.dumps(rows),
            "sent_at": sent_at,
        },
    )


def blur(connection: Connection, connection_id: str, keys: Collection[Key]) -> None:
    """Take nothing for unchanged that is about to be sent, until it is settled."""
    given = {"connection_id": connection_id, "keys": json.dumps(sorted(keys))}
    for is_it in (
        "m.our_id",
        "m.our_id <> holdfast_trimmed(m.our_id) AND holdfast_trimmed(m.our_id)",
    ):
        connection.execute(
            text(f"""
                UPDATE id_map AS m SET digest = '', input_digest = ''
                  FROM json_array_elements(CAST(:keys AS json)) AS k
                 WHERE m.connection_id = :connection_id AND m.kind = k ->> 0
                   AND {is_it} = (k ->> 1) COLLATE "C" """),  # noqa: S608 - constants
            given,
        )


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


def erase(connection: Connection, person_id: str, license_id: str | None) -> int:
    """Forget a person, for everybody or in the CRMs of one license."""
    return connection.execute(
        text("""
            DELETE FROM id_map
             WHERE kind = 'person'
               AND (our_id = :person_id
                    OR (our_id <> holdfast_trimmed(our_id)
                        AND holdfast_trimmed(our_id) = :person_id))
               AND (CAST(:license_id AS text) IS NULL OR connection_id IN (
                    SELECT id FROM connections WHERE license_id = :license_id))"""),
        {"person_id": person_id, "license_id": license_id},
    ).rowcount
