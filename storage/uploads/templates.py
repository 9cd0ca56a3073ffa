"""Upload templates: how a license's files are read, kept under a name.

A file like the one that a template was made for is known by its fingerprint.
"""

import json
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

Content = dict[str, Any]
"""What a template says: `columns`, `options`, `public_suffix_list`."""


class Template(NamedTuple):
    """A template by its name; without a fingerprint it is proposed for no file."""

    name: str
    fingerprint: str | None
    content: Content


def put(connection: Connection, license_id: str, template: Template) -> None:
    """Keep a template; one of the same name is replaced."""
    connection.execute(
        text("""
            INSERT INTO upload_templates (license_id, name, fingerprint, template)
            VALUES (:license_id, :name, :fingerprint, CAST(:content AS jsonb))
            ON CONFLICT (license_id, name) DO UPDATE
               SET fingerprint = excluded.fingerprint, template = excluded.template,
                   changed_at = clock_timestamp()"""),
        {
            "license_id": license_id,
            "name": template.name,
            "fingerprint": template.fingerprint,
            "content": json.dumps(template.content),
        },
    )


def get(connection: Connection, license_id: str, name: str) -> Template | None:
    """The template of this name, if there is one."""
    row = connection.execute(
        text("""
            SELECT name, fingerprint, template FROM upload_templates
             WHERE license_id = :license_id AND name = :name"""),
        {"license_id": license_id, "name": name},
    ).one_or_none()
    return None if row is None else Template(*row)


def like(connection: Connection, license_id: str, fingerprint: str) -> Template | None:
    """The template for files of this fingerprint that was changed last."""
    row = connection.execute(
        text("""
            SELECT name, fingerprint, template FROM upload_templates
             WHERE license_id = :license_id AND fingerprint = :fingerprint
             ORDER BY changed_at DESC, name LIMIT 1"""),
        {"license_id": license_id, "fingerprint": fingerprint},
    ).one_or_none()
    return None if row is None else Template(*row)


def every(
    connection: Connection, license_id: str, *, after: str, limit: int
) -> list[Template]:
    """Templates in the order of their names, after one of them."""
    rows = connection.execute(
        text("""
            SELECT name, fingerprint, template FROM upload_templates
             WHERE license_id = :license_id AND name > :after
             ORDER BY name LIMIT :limit"""),
        {"license_id": license_id, "after": after, "limit": limit},
    )
    return [Template(*row) for row in rows]


def delete(connection: Connection, license_id: str, name: str) -> Template | None:
    """Take a template away, and return what it was."""
    row = connection.execute(
        text("""
            DELETE FROM upload_templates
             WHERE license_id = :license_id AND name = :name
            RETURNING name, fingerprint, template"""),
        {"license_id": license_id, "name": name},
    ).one_or_none()
    return None if row is None else Template(*row)
