"""Requests that are done once: by their Idempotency-Key, which a license owns.

It belongs to the license of the API key that sent it, or to the house where that one
is for all licenses: whoever repeats a request with a newer API key finds what the first
one made. What a request makes is written with the request, in one transaction: of a
hundred that are the same, one makes it, and the others find what it made. The answer
follows, and is what they are all answered with.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from storage.errors import StorageError, is_violation

_HOUSE = ""
"""The scope of API keys for all licenses: no license has an id without a character."""


class AlreadyMade(StorageError):
    """The same request has made its thing at this moment: look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks, for which license (None: the house), under which key, for what."""

    key_id: str
    license_id: str | None
    idempotency_key: str
    digest: str

    @property
    def scope(self) -> str:
        """Whose the Idempotency-Key is."""
        return _HOUSE if self.license_id is None else self.license_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Who asked, for what, what it made, and the answer once there was one."""

    key_id: str
    digest: str
    made: str | None
    status: int | None
    answer: str | None


def find(connection: Connection, request: Request) -> Remembered | None:
    """The request that came before under this key.

    First what the API key itself has asked before its license owned the key, then what
    the license asked, then what its other API keys asked before: of those the same
    request, the oldest that made something (exact rule 5).
    """
    row = connection.execute(
        text("""
            SELECT key_id, digest, made, status, answer FROM (
              SELECT 0 AS place, requests.* FROM requests
               WHERE key_id = :key_id AND idempotency_key = :idempotency_key
                 AND scope IS NULL
              UNION ALL
              SELECT 1, requests.* FROM requests
               WHERE scope = :scope AND idempotency_key = :idempotency_key
              UNION ALL
              SELECT 2, requests.* FROM requests JOIN keys ON keys.id = key_id
               WHERE requests.scope IS NULL AND idempotency_key = :idempotency_key
                 AND keys.license_id IS NOT DISTINCT FROM :license_id) AS found
             ORDER BY place, digest = :digest DESC, made IS NULL, created_at, key_id
             LIMIT 1"""),
        _named(request) | {"license_id": request.license_id},
    )
    found = row.mappings().one_or_none()
    return None if found is None else Remembered(**found)


def make(connection: Connection, request: Request, made: str) -> None:
    """Note what a request makes, with it. Raises `AlreadyMade` if another was first."""
    try:
        connection.execute(
            text("""
                INSERT INTO requests (key_id, scope, idempotency_key, digest, made)
                VALUES (:key_id, :scope, :idempotency_key, :digest, :made)"""),
            _named(request) | {"made": made},
        )
    except IntegrityError as error:
        if is_violation(error, "requests_pkey") or is_violation(
            error, "requests_scope_idempotency_key_key"
        ):
            raise AlreadyMade(request.idempotency_key) from error
        raise


def answered(
    connection: Connection, request: Request, status: int, answer: str
) -> bool:
    """Keep the answer as it was sent, or its cipher.

    False where there is one, or where the key has come to stand for another request.
    """
    found = find(connection, request)
    given = _named(request) | {"status": status, "answer": answer}
    if found is None:
        statement = text("""
            INSERT INTO requests
              (key_id, scope, idempotency_key, digest, status, answer)
            VALUES (:key_id, :scope, :idempotency_key, :digest, :status, :answer)
            ON CONFLICT DO NOTHING""")
    else:
        given["key_id"] = found.key_id
        statement = text("""
            UPDATE requests SET status = :status, answer = :answer
             WHERE key_id = :key_id AND idempotency_key = :idempotency_key
               AND digest = :digest AND status IS NULL""")
    return connection.execute(statement, given).rowcount == 1


def _named(request: Request) -> dict[str, object]:
    return {
        "key_id": request.key_id,
        "scope": request.scope,
        "idempotency_key": request.idempotency_key,
        "digest": request.digest,
    }


def forget(connection: Connection, *, after_s: float) -> int:
    """Remove requests that nobody repeats any more."""
    gone = connection.execute(
        text("""
            DELETE FROM requests
             WHERE created_at < (
                   SELECT holdfast_confirmed_clock() - make_interval(
                            secs => :after_s))"""),
        {"after_s": after_s},
    )
    return gone.rowcount


Once = Callable[[Connection, str], None]
"""Called with the id of what was made; raises where the same request made it before."""
