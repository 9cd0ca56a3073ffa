"""API keys: kept as digests, with a scope, and bound to one license or to none."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from storage.access_scopes import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Who calls. `license_id` is None for a key that may see all licenses.

    `person` is whoever holds it; None where it names nobody.
    """

    id: str
    name: str
    scope: Scope
    license_id: str | None
    person: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


_COLUMNS = (
    "id, name, scope, license_id, person, created_at, last_used_at, expires_at, "
    "revoked_at"
)

LIVE = (
    "keys.revoked_at IS NULL"
    " AND (keys.expires_at IS NULL OR keys.expires_at > clock_timestamp())"
)
"""Whether a key may be used. Its end is the world's time, which nobody shifts."""


def put(
    connection: Connection,
    key_id: str,
    digest: str,
    *,
    name: str,
    scope: Scope,
    license_id: str | None,
    person: str | None = None,
    expires_at: datetime | None = None,
) -> bool:
    """Keep a key; False where one with this digest is kept already."""
    row = connection.execute(
        text("""
            INSERT INTO keys (id, name, digest, scope, license_id, person, expires_at)
            VALUES (:id, :name, :digest, :scope, :license_id, :person, :expires_at)
            ON CONFLICT (digest) DO NOTHING RETURNING id"""),
        {
            "id": key_id,
            "name": name,
            "digest": digest,
            "scope": scope.value,
            "license_id": license_id,
            "person": person,
            "expires_at": expires_at,
        },
    )
    return row.one_or_none() is not None


_USE = text(f"""
SELECT {_COLUMNS},
       last_used_at IS NULL
         OR last_used_at < clock_timestamp() - interval '1 minute' AS is_to_note
  FROM keys WHERE digest = :digest AND {LIVE}
""")  # noqa: S608 - a constant

_NOTE_USE = text("""
UPDATE keys SET last_used_at = clock_timestamp()
 WHERE digest = :digest
   AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
""")


def use(connection: Connection, digest: str) -> Key | None:
    """The live key with this digest; its last use is noted once a minute."""
    row = connection.execute(_USE, {"digest": digest})
    found = row.mappings().one_or_none()
    if found is None:
        return None
    key = dict(found)
    if key.pop("is_to_note"):
        connection.execute(_NOTE_USE, {"digest": digest})
    return _key(key)


def live(connection: Connection, key_id: str) -> Key | None:
    """The key of this id, unless it was revoked or has expired."""
    return _get(connection, key_id, LIVE)


def get(connection: Connection, key_id: str) -> Key | None:
    """The key of this id, also one that has ended."""
    return _get(connection, key_id, "true")


def _get(connection: Connection, key_id: str, condition: str) -> Key | None:
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM keys WHERE id = :id AND {condition}"),  # noqa: S608 - a constant
        {"id": key_id},
    )
    found = row.mappings().one_or_none()
    return None if found is None else _key(dict(found))


def page(
    connection: Connection,
    *,
    license_id: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[Key]:
    """Keys by id, of one license if asked, from behind the id `after`."""
    rows = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM keys
             WHERE (CAST(:license_id AS text) IS NULL OR license_id = :license_id)
               AND (CAST(:after AS text) IS NULL OR id > :after)
             ORDER BY id LIMIT :limit"""),  # noqa: S608 - a constant
        {"license_id": license_id, "after": after, "limit": limit},
    )
    return [_key(dict(row)) for row in rows.mappings()]


def every(connection: Connection) -> list[Key]:
    """All keys, revoked ones too, the newest first."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM keys ORDER BY created_at DESC, id")  # noqa: S608 - a constant
    )
    return [_key(dict(row)) for row in rows.mappings()]


def name_person(connection: Connection, key_id: str, person: str) -> bool:
    """Say once who holds a key; False where there is none, or it names another."""
    moved = connection.execute(
        text("""
            UPDATE keys SET person = :person
             WHERE id = :id AND (person IS NULL OR person = :person)"""),
        {"id": key_id, "person": person},
    )
    return moved.rowcount == 1


def expire(connection: Connection, key_id: str, expires_at: datetime | None) -> bool:
    """Let a key end at a time, or at none; False where there is none that is live."""
    moved = connection.execute(
        text(f"UPDATE keys SET expires_at = :at WHERE id = :id AND {LIVE}"),  # noqa: S608 - a constant
        {"id": key_id, "at": expires_at},
    )
    return moved.rowcount == 1


def revoke(connection: Connection, key_id: str) -> bool:
    """End a key for good; False where there is none. The same again is fine."""
    moved = connection.execute(
        text("""
            UPDATE keys SET revoked_at = coalesce(revoked_at, clock_timestamp())
             WHERE id = :id"""),
        {"id": key_id},
    )
    return moved.rowcount == 1


def _key(row: dict[str, object]) -> Key:
    return Key(**row | {"scope": Scope(str(row["scope"]))})  # type: ignore[arg-type]
