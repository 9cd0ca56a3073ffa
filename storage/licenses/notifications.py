"""What a user is told by us, such as a refused use of credits."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message, for one user of a license, or for all who look after it."""

    id: int
    user_id: str | None
    code: str
    message: str
    created_at: datetime


def put(
    connection: Connection,
    license_id: str,
    user_id: str | None,
    code: str,
    message: str,
) -> None:
    """Leave a message."""
    connection.execute(
        text("""
            INSERT INTO notifications (license_id, user_id, code, message)
            VALUES (:license_id, :user_id, :code, :message)"""),
        {
            "license_id": license_id,
            "user_id": user_id,
            "code": code,
            "message": message,
        },
    )


def of_license(
    connection: Connection, license_id: str, *, before: int | None, limit: int
) -> list[Notification]:
    """The newest messages of a license, older than the id `before`."""
    rows = connection.execute(
        text("""
            SELECT id, user_id, code, message, created_at FROM notifications
             WHERE license_id = :license_id
               AND (CAST(:before AS bigint) IS NULL OR id < :before)
             ORDER BY id DESC LIMIT :limit"""),
        {"license_id": license_id, "before": before, "limit": limit},
    )
    return [Notification(**row) for row in rows.mappings()]
