"""Persons who were erased: their ids, kept so that nothing brings the persons back.

Ids come without white space around them; what is stored of before may have some, and is
found as well. An erasure without a license holds for everybody; it alone takes the
person out of the directory, which is our own. What is erased of a job is told by its
outcomes.
"""

import json
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.files import pending_removals
from storage.jobs.jobs import manifest_name

_EVERYBODY = ""

_OF_LICENSE = "(:license_id = '' OR license_id = :license_id)"


def put(connection: Connection, person_id: str, license_id: str | None) -> int:
    """Block a person from now on; how many entries of the directory that removed.

    Whoever is loading the directory at this moment is waited for.
    """
    connection.execute(
        text("""
            INSERT INTO erasures (person_id, license_id, erased_at)
            VALUES (:person_id, :license_id, holdfast_now())
            ON CONFLICT (person_id, license_id) DO NOTHING"""),
        _of(person_id, license_id),
    )
    if license_id is not None:
        return 0
    return connection.execute(
        text("""
            DELETE FROM directory
             WHERE person_id = :person_id
                OR (person_id <> holdfast_trimmed(person_id)
                    AND holdfast_trimmed(person_id) = :person_id)"""),
        {"person_id": person_id},
    ).rowcount


_AMONG = text("""
SELECT asked.person_id
  FROM json_array_elements_text(CAST(:persons AS json)) AS asked (person_id)
  JOIN erasures AS e ON holdfast_trimmed(e.person_id)
       = holdfast_trimmed(asked.person_id) COLLATE "C"
   AND e.license_id IN ('', :license_id)
""")


def among(
    connection: Connection, license_id: str, persons: Collection[str]
) -> set[str]:
    """Which of these persons are blocked, for this license or for everybody."""
    rows = connection.execute(
        _AMONG,
        {"persons": json.dumps(list(persons)), "license_id": license_id},
    )
    return set(rows.scalars())


class Kept(NamedTuple):
    """A file of records, and the upload or quote that names it."""

    id: str
    name: str


def uploads(
    connection: Connection, license_id: str | None, *, after: str, limit: int
) -> list[Kept]:
    """Uploads whose records are there, by id from behind `after`."""
    rows = connection.execute(
        text(f"""
            SELECT id, artifact FROM uploads
             WHERE artifact IS NOT NULL AND id > :after AND {_OF_LICENSE}
             ORDER BY id LIMIT :limit"""),  # noqa: S608 - a constant
        {"license_id": license_id or "", "after": after, "limit": limit},
    )
    return [Kept(*row) for row in rows]


def inputs(
    connection: Connection, license_id: str | None, *, after: str, limit: int
) -> list[Kept]:
    """Quotes whose records are there, by id from behind `after`."""
    rows = connection.execute(
        text(f"""
            SELECT id, input FROM quotes
             WHERE input IS NOT NULL AND id > :after AND {_OF_LICENSE}
             ORDER BY id LIMIT :limit"""),  # noqa: S608 - a constant
        {"license_id": license_id or "", "after": after, "limit": limit},
    )
    return [Kept(*row) for row in rows]


def let_raw_files_go(connection: Connection, license_id: str | None) -> int:
    """Let uploads' files go as they came, and those of their problems; of how many.

    Nobody can tell for sure where in them a person is.
    """
    return connection.execute(
        text(f"""
            WITH held AS (
              SELECT id, raw, problem_file FROM uploads
               WHERE (raw IS NOT NULL OR problem_file IS NOT NULL) AND {_OF_LICENSE}
               ORDER BY id FOR NO KEY UPDATE),
            marked AS (
              INSERT INTO removals (name)
              SELECT name FROM held
               CROSS JOIN LATERAL unnest(ARRAY[raw, problem_file]) AS named (name)
               WHERE name IS NOT NULL
              ON CONFLICT (name) DO NOTHING)
            UPDATE uploads SET raw = NULL, problem_file = NULL
              FROM held WHERE uploads.id = held.id"""),  # noqa: S608 - a constant
        {"license_id": license_id or ""},
    ).rowcount


def replace_upload(connection: Connection, kept: Kept, name: str) -> bool:
    """Let an upload name another file; False where its own had gone meanwhile."""
    moved = connection.execute(
        text("UPDATE uploads SET artifact = :name WHERE id = :id AND artifact = :old"),
        {"id": kept.id, "old": kept.name, "name": name},
    )
    pending_removals.mark(connection, [kept.name if moved.rowcount else name])
    return moved.rowcount == 1


def replace_input(connection: Connection, kept: Kept, name: str) -> bool:
    """Let a quote, and its job, name another file; False where its own had gone.

    Chunks that are running from the former file are taken from their workers, and go
    on from their cursors: what those deliver from now on is fenced off.
    """
    moved = connection.execute(
        text("UPDATE quotes SET input = :name WHERE id = :id AND input = :old"),
        {"id": kept.id, "old": kept.name, "name": name},
    )
    pending_removals.mark(connection, [kept.name if moved.rowcount else name])
    connection.execute(
        text("""
            UPDATE chunks SET state = 'pending', attempt = attempt + 1, owner = NULL,
                   lease_until = NULL, run_at = clock_timestamp()
             WHERE id IN (
               SELECT c.id FROM chunks AS c JOIN jobs AS j ON j.id = c.job_id
                WHERE j.quote_id = :quote_id AND c.state = 'running'
                ORDER BY c.id FOR NO KEY UPDATE OF c)"""),
        {"quote_id": kept.id},
    )
    return moved.rowcount == 1


# The batch is read again under its lock: what another removes meanwhile stays removed.
_SILENCE_BATCHES = text(f"""
UPDATE outcome_batches AS b
   SET messages = (
       SELECT CASE WHEN count(kept) > 0 THEN array_agg(kept ORDER BY place) END
         FROM unnest(b.person_ids, b.messages) WITH ORDINALITY
           AS e (person_id, message, place)
        CROSS JOIN LATERAL (
              SELECT CASE WHEN holdfast_trimmed(person_id) = :person_id
                     THEN NULL ELSE message END AS kept) AS words)
  FROM (SELECT job_id, first_record, count(*) AS words
          FROM outcome_batches
         CROSS JOIN LATERAL unnest(person_ids, messages) AS e (person_id, message)
         WHERE messages IS NOT NULL AND e.message IS NOT NULL
           AND holdfast_trimmed(e.person_id) = :person_id AND {_OF_LICENSE}
         GROUP BY job_id, first_record) AS said
 WHERE b.job_id = said.job_id AND b.first_record = said.first_record
RETURNING said.words
""")  # noqa: S608 - a constant


def silence(connection: Connection, person_id: str, license_id: str | None) -> int:
    """Remove the words on rejected records of a person; how many there were."""
    of_person = _of(person_id, license_id)
    one_by_one: int = connection.execute(
        text(f"""
            UPDATE record_outcomes SET message = NULL
             WHERE holdfast_trimmed(person_id) = :person_id AND message IS NOT NULL
               AND {_OF_LICENSE}"""),  # noqa: S608 - a constant
        of_person,
    ).rowcount
    in_batches = connection.execute(_SILENCE_BATCHES, of_person).scalars()
    return one_by_one + int(sum(in_batches))


class Dropped(NamedTuple):
    """A job that delivered the person: the file it had, and whether it has ended."""

    job_id: str
    file: str | None
    ended: bool


def drop_files(
    connection: Connection, person_id: str, license_id: str | None
) -> list[Dropped]:
    """Let the files of all jobs go that delivered a person before the erasure.

    A job under way goes on, and leaves no file at its end.
    """
    rows = connection.execute(
        text("""
            WITH held AS (
              SELECT id, file_artifact, finished_at FROM jobs
               WHERE (:license_id = '' OR license_id = :license_id)
                 AND created_at < (
                     SELECT erased_at FROM erasures
                      WHERE person_id = :person_id AND license_id = :license_id)
                 AND id IN (SELECT job_id FROM outcomes
                             WHERE holdfast_trimmed(person_id) = :person_id
                               AND outcome = 'delivered')
                 AND (keep_file OR file_artifact IS NOT NULL OR finished_at IS NULL)
               ORDER BY id FOR NO KEY UPDATE),
            dropped AS (
              UPDATE jobs SET keep_file = false, file_artifact = NULL FROM held
               WHERE jobs.id = held.id)
            SELECT id, file_artifact, finished_at IS NOT NULL FROM held"""),
        _of(person_id, license_id),
    )
    dropped = [Dropped(*row) for row in rows]
    for job in dropped:
        if job.file is not None:
            pending_removals.mark(connection, [job.file, manifest_name(job.job_id)])
    return dropped


def _of(person_id: str, license_id: str | None) -> dict[str, str]:
    return {"person_id": person_id, "license_id": license_id or _EVERYBODY}
