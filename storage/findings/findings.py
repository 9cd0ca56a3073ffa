"""Findings: what providers answered about persons, kept so that none is paid twice.

A row is one provider's answer about one item of one person, as looked up by one digest;
without a value it says that the provider was asked and found nothing. Ages are business
time. Of a person who objected that alone is kept, and for good.
"""

import json
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from pricing.findings import EmailStatus
from pricing.plans import Item


class Key(NamedTuple):
    """A person as looked up: `digest` is empty where the id alone decides."""

    person_id: str
    digest: str


class Memory(NamedTuple):
    """What a provider answered; `value` is None where it found nothing."""

    person_id: str
    digest: str
    item: Item
    provider: str
    value: str | None = None
    status: EmailStatus | None = None

    @property
    def key(self) -> Key:
        """Whom it is about."""
        return Key(self.person_id, self.digest)


_REMEMBERED = text("""
SELECT f.person_id, f.digest, f.item, f.provider, f.value, f.email_status
  FROM json_array_elements(CAST(:keys AS json)) AS asked (key)
  JOIN findings AS f ON f.person_id = (key ->> 0) COLLATE "C"
   AND f.digest = (key ->> 1) COLLATE "C"
 WHERE f.found_at > (SELECT holdfast_now()) - make_interval(
         secs => CASE WHEN f.value IS NULL THEN :missed_s ELSE :found_s END)
""")


def remembered(
    connection: Connection,
    keys: Collection[Key],
    *,
    found_s: float,
    missed_s: float,
) -> list[Memory]:
    """What providers answered about these within `found_s`, nothing within `missed_s`.

    An objection is told by `objected`.
    """
    rows = connection.execute(
        _REMEMBERED,
        {"keys": json.dumps(list(keys)), "found_s": found_s, "missed_s": missed_s},
    )
    return [
        Memory(
            person_id,
            digest,
            Item(item),
            provider,
            value,
            EmailStatus(status) if status else None,
        )
        for person_id, digest, item, provider, value, status in rows
    ]


def objected(connection: Connection, persons: Collection[str]) -> set[str]:
    """Who of these has objected, however they were looked up and whoever was told."""
    rows = connection.execute(
        text("""
            SELECT p.id
              FROM json_array_elements_text(CAST(:persons AS json)) AS p (id)
             WHERE EXISTS (
                   SELECT 1 FROM findings
                    WHERE person_id IN (p.id, holdfast_trimmed(p.id))
                      AND email_status = 'objected')
                OR EXISTS (
                   SELECT 1 FROM directory
                    WHERE person_id IN (p.id, holdfast_trimmed(p.id))
                      AND email_status = 'objected')
                OR EXISTS (
                   SELECT 1 FROM findings
                    WHERE person_id <> holdfast_trimmed(person_id)
                      AND holdfast_trimmed(person_id)
                          = holdfast_trimmed(p.id) COLLATE "C"
                      AND email_status = 'objected')
                OR EXISTS (
                   SELECT 1 FROM directory
                    WHERE person_id <> holdfast_trimmed(person_id)
                      AND holdfast_trimmed(person_id)
                          = holdfast_trimmed(p.id) COLLATE "C"
                      AND email_status = 'objected')"""),
        {"persons": json.dumps(list(persons))},
    )
    return set(rows.scalars())


# An objection is never taken back by a later answer.
_KEEP = text("""
INSERT INTO findings (person_id, digest, item, provider, value, email_status, found_at)
SELECT m ->> 0, m ->> 1, m ->> 2, m ->> 3, m ->> 4, m ->> 5, (SELECT holdfast_now())
  FROM json_array_elements(CAST(:memories AS json)) AS m
 WHERE NOT EXISTS (SELECT 1 FROM erasures AS e
                    WHERE e.license_id = '' AND holdfast_trimmed(e.person_id)
                          = holdfast_trimmed(m ->> 0) COLLATE "C")
 ORDER BY 1, 2, 3, 4
ON CONFLICT (person_id, digest, item, provider) DO UPDATE
   SET value = excluded.value, email_status = excluded.email_status,
       found_at = excluded.found_at
 WHERE findings.email_status IS DISTINCT FROM 'objected'
""")


def keep(connection: Connection, memories: Sequence[Memory]) -> None:
    """Remember answers, each at most once; whoever was erased is left out."""
    if not memories:
        return
    # Whoever is being erased at this moment waits, and then finds what this has left.
    connection.execute(text("LOCK TABLE erasures IN SHARE MODE"))
    connection.execute(_KEEP, {"memories": json.dumps(memories)})


def erase(connection: Connection, person_id: str) -> int:
    """Remove all that was found of a person; how many answers that were."""
    return connection.execute(
        text("""
            DELETE FROM findings
             WHERE person_id = :person_id
                OR (person_id <> holdfast_trimmed(person_id)
                    AND holdfast_trimmed(person_id) = :person_id)"""),
        {"person_id": person_id},
    ).rowcount


def forget(connection: Connection, *, after_s: float, limit: int) -> int:
    """Remove answers of so long ago, but no objection."""
    return connection.execute(
        text("""
            DELETE FROM findings WHERE ctid = ANY(ARRAY(
              SELECT ctid FROM findings
               WHERE found_at < (
                     SELECT holdfast_confirmed_now() - make_interval(secs => :after_s))
                 AND email_status IS DISTINCT FROM 'objected'
               ORDER BY found_at LIMIT :limit FOR UPDATE SKIP LOCKED))"""),
        {"after_s": after_s, "limit": limit},
    ).rowcount
