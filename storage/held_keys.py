"""Held keys: one worker at a time creates by a key of ours, where a CRM cannot upsert.

A hold lapses: whoever died with one may have created a record, which is there to be
found by its key once the hold has passed.
"""

from enum import StrEnum

from sqlalchemy import Connection, text


class Hold(StrEnum):
    """What came of taking a hold."""

    FRESH = "fresh"
    LAPSED = "lapsed"
    """Whoever held it before did not let go of it."""
    REFUSED = "refused"


def take(
    connection: Connection,
    connection_id: str,
    kind: str,
    our_id: str,
    *,
    owner: str,
    hold_s: float,
) -> Hold:
    """Hold a key for so long, unless somebody else does."""
    fresh = connection.execute(
        text("""
            INSERT INTO held_keys AS h (connection_id, kind, our_id, owner, held_until)
            VALUES (:connection_id, :kind, :our_id, :owner,
                    clock_timestamp() + make_interval(secs => :hold_s))
            ON CONFLICT (connection_id, kind, our_id) DO UPDATE
               SET owner = excluded.owner, held_until = excluded.held_until
             WHERE h.held_until < clock_timestamp()
            RETURNING xmax = 0"""),
        {
            "connection_id": connection_id,
            "kind": kind,
            "our_id": our_id,
            "owner": owner,
            "hold_s": hold_s,
        },
    ).scalar_one_or_none()
    if fresh is None:
        return Hold.REFUSED
    return Hold.FRESH if fresh else Hold.LAPSED


def let_go(connection: Connection, owner: str, *, after_s: float = 0) -> None:
    """Let somebody else hold what this owner holds, now or after so long."""
    if after_s:
        connection.execute(
            text("""
                UPDATE held_keys SET held_until
                         = clock_timestamp() + make_interval(secs => :after_s)
                 WHERE owner = :owner"""),
            {"owner": owner, "after_s": after_s},
        )
        return
    connection.execute(
        text("DELETE FROM held_keys WHERE owner = :owner"), {"owner": owner}
    )


def forget(connection: Connection, *, after_s: float, limit: int) -> int:
    """Let go of holds that lapsed so long ago."""
    return connection.execute(
        text("""
            DELETE FROM held_keys WHERE (connection_id, kind, our_id) IN (
              SELECT connection_id, kind, our_id FROM held_keys
               WHERE held_until < clock_timestamp() - make_interval(secs => :after_s)
               ORDER BY held_until LIMIT :limit)"""),
        {"after_s": after_s, "limit": limit},
    ).rowcount
