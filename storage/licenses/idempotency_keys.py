"""Requests that are done once: by the key that asked and its Idempotency-Key.

What a request makes is written with the request, in one transaction: of a hundred
that are the same, one makes it, and the others find what it made. The answer follows,
and is what they are all answered with.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from storage.errors import StorageError, is_violation


class AlreadyMade(StorageError):
    """The same request has made its thing at this moment: look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks, under which key of theirs, and for what."""

    key_id: str
    idempotency_key: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What was asked, what it made, and the answer once there was one."""

    digest: str
    made: str | None
    status: int | None
    answer: str | None


def find(connection: Connection, request: Request) -> Remembered | None:
    """The request that came before under this key."""
    row = connection.execute(
        text("""
            SELECT digest, made, status, answer FROM requests
             WHERE key_id = :key_id AND idempotency_key = :idempotency_key"""),
        {"key_id": request.key_id, "idempotency_key": request.idempotency_key},
    )
    found = row.mappings().one_or_none()
    return None if found is None else Remembered(**found)


def make(connection: Connection, request: Request, made: str) -> None:
    """Note what a request makes, with it. Raises `AlreadyMade` if another was first."""
    try:
        connection.execute(
            text("""
                INSERT INTO requests (key_id, idempotency_key, digest, made)
                VALUES (:key_id, :idempotency_key, :digest, :made)"""),
            {
                "key_id": request.key_id,
                "idempotency_key": request.idempotency_key,
                "digest": request.digest,
                "made": made,
            },
        )
    except IntegrityError as error:
        if is_violation(error, "requests_pkey"):
            raise AlreadyMade(request.idempotency_key) from error
        raise


def answered(
    connection: Connection, request: Request, status: int, answer: str
) -> bool:
    """Keep the answer as it was sent, or its cipher; False where there was one."""
    kept = connection.execute(
        text("""
            INSERT INTO requests (key_id, idempotency_key, digest, status, answer)
            VALUES (:key_id, :idempotency_key, :digest, :status, :answer)
            ON CONFLICT (key_id, idempotency_key) DO UPDATE
               SET status = excluded.status, answer = excluded.answer
             WHERE requests.status IS NULL"""),
        {
            "key_id": request.key_id,
            "idempotency_key": request.idempotency_key,
            "digest": request.digest,
            "status": status,
            "answer": answer,
        },
    )
    return kept.rowcount == 1


def forget(connection: Connection, *, after_s: float) -> int:
    """Remove requests that nobody repeats any more."""
    gone = connection.execute(
        text("""
            DELETE FROM requests
             WHERE created_at < clock_timestamp() - make_interval(secs => :after_s)"""),
        {"after_s": after_s},
    )
    return gone.rowcount


Once = Callable[[Connection, str], None]
"""Called with the id of what was made; raises where the same request made it before."""
