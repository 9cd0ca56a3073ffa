"""Templates: how a license likes its exports, kept under a name."""

import json
from typing import Any

from sqlalchemy import Connection, text

Export = dict[str, Any]
"""What was chosen of an export, and nothing that was not."""


def put(connection: Connection, license_id: str, name: str, export: Export) -> None:
    """Keep a template; one of the same name is replaced."""
    connection.execute(
        text("""
            INSERT INTO templates (license_id, name, export)
            VALUES (:license_id, :name, CAST(:export AS jsonb))
            ON CONFLICT (license_id, name) DO UPDATE
               SET export = excluded.export, changed_at = clock_timestamp()"""),
        {"license_id": license_id, "name": name, "export": json.dumps(export)},
    )


def get(connection: Connection, license_id: str, name: str) -> Export | None:
    """The template of this name, if there is one."""
    found: Export | None = connection.execute(
        text("""
            SELECT export FROM templates
             WHERE license_id = :license_id AND name = :name"""),
        {"license_id": license_id, "name": name},
    ).scalar_one_or_none()
    return found


def every(
    connection: Connection, license_id: str, *, after: str, limit: int
) -> list[tuple[str, Export]]:
    """A license's templates by name, from behind the name `after`."""
    rows = connection.execute(
        text("""
            SELECT name, export FROM templates
             WHERE license_id = :license_id AND name > :after
             ORDER BY name LIMIT :limit"""),
        {"license_id": license_id, "after": after, "limit": limit},
    )
    return [(row.name, row.export) for row in rows]


def delete(connection: Connection, license_id: str, name: str) -> Export | None:
    """Take a template away, and return what it was."""
    found: Export | None = connection.execute(
        text("""
            DELETE FROM templates WHERE license_id = :license_id AND name = :name
            RETURNING export"""),
        {"license_id": license_id, "name": name},
    ).scalar_one_or_none()
    return found
