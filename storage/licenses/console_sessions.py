"""Sessions of the console: the cookie says whose one is, and here stands what ended it.

A row is kept until the session would have ended by itself.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.licenses.api_keys import LIVE


class SessionOfKey(NamedTuple):
    """A session, and the API key that it was begun with."""

    session_id: str
    key_id: str


def sign_out(connection: Connection, session_id: str, *, lasts_s: float) -> None:
    """End a session for good; `lasts_s` is how long one lasts at most."""
    connection.execute(
        text("""
            INSERT INTO console_sign_outs (session_id, ends_at)
            VALUES (:session_id,
                    clock_timestamp() + make_interval(secs => :lasts_s))
            ON CONFLICT (session_id) DO NOTHING"""),
        {"session_id": session_id, "lasts_s": lasts_s},
    )
    connection.execute(
        text("DELETE FROM console_sign_outs WHERE ends_at < clock_timestamp()")
    )


def standing(
    connection: Connection, sessions: Iterable[SessionOfKey]
) -> set[SessionOfKey]:
    """Those that nobody has signed out, and whose key has not ended."""
    asked = list(sessions)
    rows = connection.execute(
        text(f"""
            SELECT s.session_id, s.key_id
              FROM unnest(CAST(:session_ids AS text[]), CAST(:key_ids AS text[]))
                   AS s (session_id, key_id)
              JOIN keys ON keys.id = s.key_id COLLATE "C" AND {LIVE}
             WHERE NOT EXISTS (
                   SELECT FROM console_sign_outs AS o
                    WHERE o.session_id = s.session_id COLLATE "C")"""),  # noqa: S608 - a constant
        {
            "session_ids": [one.session_id for one in asked],
            "key_ids": [one.key_id for one in asked],
        },
    )
    return {SessionOfKey(*row) for row in rows}
