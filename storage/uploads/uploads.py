"""Uploads as they are stored: files that came in, and their records once checked.

An upload whose columns are not mapped yet has its file as it came, and no records.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, or_, select, text, update

from storage import tables
from storage.files import pending_removals


class Problem(NamedTuple):
    """What was wrong in one place of the input, and was left out."""

    line: int
    field: str | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUpload:
    """Records without their duplicates; `problems` are the first of their total.

    `artifact` names the file of the records, None while no columns are mapped; `raw`
    the file as it came, of `content_type`, while its columns can be mapped;
    `problem_file` all problems of the last time that it was read. `trimmed` counts
    the records that had white space around an id; None where nobody looked, as in
    uploads of before. `noticed` is what the file was taken for.
    """

    id: str
    license_id: str
    artifact: str | None
    columns: tuple[str, ...]
    records: int
    companies: int
    persons: int
    duplicates: int
    problems: tuple[Problem, ...]
    problems_total: int
    trimmed: int | None
    raw: str | None = None
    content_type: str | None = None
    problem_file: str | None = None
    noticed: dict[str, Any] | None = None
    is_quoted: bool = False


def put(connection: Connection, stored: StoredUpload) -> None:
    """Keep an upload, whose files are there."""
    connection.execute(
        insert(tables.uploads).values(
            id=stored.id,
            license_id=stored.license_id,
            **_read_of(stored),
            raw=stored.raw,
            content_type=stored.content_type,
            created_at=func.holdfast_now(),
        ),
    )


def _read_of(stored: StoredUpload) -> dict[str, Any]:
    """What was read of a file."""
    return {
        "artifact": stored.artifact,
        "columns": list(stored.columns),
        "records": stored.records,
        "companies": stored.companies,
        "persons": stored.persons,
        "duplicates": stored.duplicates,
        "problems": [list(problem) for problem in stored.problems],
        "problems_total": stored.problems_total,
        "trimmed": stored.trimmed,
        "problem_file": stored.problem_file,
        "noticed": stored.noticed,
    }


def put_read(connection: Connection, stored: StoredUpload) -> bool:
    """Keep what was read of an upload's own file, in place of what was before.

    False where the file is not kept any more: then nothing has changed.
    """
    if not _let_former_go(connection, stored, "artifact", "problem_file"):
        return False
    table = tables.uploads
    connection.execute(
        update(table).where(table.c.id == stored.id).values(**_read_of(stored))
    )
    return True


def put_problems(connection: Connection, stored: StoredUpload, name: str) -> bool:
    """Keep the problems for which reading an upload's file was refused.

    Its records stay as they are. False where the file is not kept any more.
    """
    if not _let_former_go(connection, stored, "problem_file"):
        return False
    table = tables.uploads
    connection.execute(
        update(table).where(table.c.id == stored.id).values(problem_file=name)
    )
    return True


def _let_former_go(connection: Connection, stored: StoredUpload, *columns: str) -> bool:
    """Mark what some columns name; False where the upload has no such file any more."""
    table = tables.uploads
    former = connection.execute(
        select(*(table.c[name] for name in columns))
        # A quote lets the file go.
        .where(table.c.id == stored.id, table.c.raw == stored.raw)
        .with_for_update()
    ).one_or_none()
    if former is None:
        return False
    pending_removals.mark(connection, [name for name in former if name is not None])
    return True


_MARK_QUOTED = text("""
WITH held AS (
  SELECT id, raw, quoted_at FROM uploads
   WHERE id = :id AND artifact = :artifact FOR NO KEY UPDATE),
marked AS (
  INSERT INTO removals (name) SELECT raw FROM held WHERE raw IS NOT NULL
  ON CONFLICT (name) DO NOTHING),
quoted AS (
  UPDATE uploads SET quoted_at = holdfast_now(), raw = NULL FROM held
   WHERE uploads.id = held.id AND held.quoted_at IS NULL)
SELECT count(*) FROM held
""")


def mark_quoted(connection: Connection, upload_id: str, artifact: str) -> bool:
    """Say that a quote was made of an upload's records: its columns are settled.

    False where its records are others by now.
    """
    held = connection.execute(_MARK_QUOTED, {"id": upload_id, "artifact": artifact})
    return bool(held.scalar_one())


def was_removed(connection: Connection, license_id: str, upload_id: str) -> bool:
    """Whether a license had such an upload, whose files are gone by now."""
    table = tables.uploads
    found = connection.execute(
        select(table.c.id).where(
            table.c.id == upload_id,
            table.c.license_id == license_id,
            table.c.artifact.is_(None),
            table.c.raw.is_(None),
        ),
    )
    return found.one_or_none() is not None


def license_of(connection: Connection, upload_id: str) -> str | None:
    """The license that an upload is of; None where there is no such upload."""
    table = tables.uploads
    statement = select(table.c.license_id).where(table.c.id == upload_id)
    return connection.execute(statement).scalar_one_or_none()


def get(connection: Connection, upload_id: str) -> StoredUpload | None:
    """The upload of this id; None also once its files were removed."""
    table = tables.uploads
    row = (
        connection.execute(
            select(table).where(
                table.c.id == upload_id,
                or_(table.c.artifact.is_not(None), table.c.raw.is_not(None)),
            ),
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else _stored(dict(row))


def _stored(row: dict[str, Any]) -> StoredUpload:
    return StoredUpload(
        id=row["id"],
        license_id=row["license_id"],
        artifact=row["artifact"],
        columns=tuple(row["columns"]),
        records=row["records"],
        companies=row["companies"],
        persons=row["persons"],
        duplicates=row["duplicates"],
        problems=tuple(Problem(*problem) for problem in row["problems"]),
        problems_total=row["problems_total"],
        trimmed=row["trimmed"],
        raw=row["raw"],
        content_type=row["content_type"],
        problem_file=row["problem_file"],
        noticed=row["noticed"],
        is_quoted=row["quoted_at"] is not None,
    )
