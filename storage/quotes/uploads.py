"""Uploads as they are stored: checked records in a file, waiting to be quoted."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

from storage import tables


class Problem(NamedTuple):
    """What was wrong in one place of the input, and was left out."""

    line: int
    field: str | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUpload:
    """Records without their duplicates; `problems` are the first of their total.

    `trimmed` counts those that had white space around an id; None where nobody looked,
    as in uploads of before.
    """

    id: str
    license_id: str
    artifact: str
    columns: tuple[str, ...]
    records: int
    companies: int
    persons: int
    duplicates: int
    problems: tuple[Problem, ...]
    problems_total: int
    trimmed: int | None


def put(connection: Connection, stored: StoredUpload) -> None:
    """Keep an upload, whose file is there."""
    connection.execute(
        insert(tables.uploads).values(
            id=stored.id,
            license_id=stored.license_id,
            artifact=stored.artifact,
            columns=list(stored.columns),
            records=stored.records,
            companies=stored.companies,
            persons=stored.persons,
            duplicates=stored.duplicates,
            problems=[list(problem) for problem in stored.problems],
            problems_total=stored.problems_total,
            trimmed=stored.trimmed,
            created_at=func.holdfast_now(),
        ),
    )


def was_removed(connection: Connection, license_id: str, upload_id: str) -> bool:
    """Whether a license had such an upload, whose file is gone by now."""
    table = tables.uploads
    found = connection.execute(
        select(table.c.id).where(
            table.c.id == upload_id,
            table.c.license_id == license_id,
            table.c.artifact.is_(None),
        ),
    )
    return found.one_or_none() is not None


def get(connection: Connection, upload_id: str) -> StoredUpload | None:
    """The upload of this id; None also once its file was removed."""
    table = tables.uploads
    row = (
        connection.execute(
            select(table).where(table.c.id == upload_id, table.c.artifact.is_not(None)),
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
    )
