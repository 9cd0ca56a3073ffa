"""Held keys: one worker at a time creates by a key of ours, where a CRM cannot upsert.

A hold lapses: whoever died with one may have created a record, which is there to be
found by its key once the hold has passed.
"""

from collections.abc import Collection
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


def extend(connection: Connection, owners: Collection[str], *, hold_s: float) -> int:
    """Hold on for so long from now to what these owners still hold; how many do."""
    return connection.execute(
        text("""
            UPDATE held_keys SET held_until
                     = clock_timestamp() + make_interval(secs => :hold_s)
             WHERE owner = ANY (:owners)"""),
        {"owners": sorted(owners), "hold_s": hold_s},
    ).rowcount


def let_go(connection: Connection, owner: str) -> None:
    """Let anybody hold what this owner holds: how it ended is known."""
    connection.execute(
        text("DELETE FROM held_keys WHERE owner = :owner"), {"owner": owner}
    )


def leave_in_doubt(connection: Connection, owner: str, *, after_s: float) -> None:
    """Let somebody else hold it after so long, who will take it for lapsed."""
    connection.execute(
        text("""
            UPDATE held_keys SET held_until
                     = clock_timestamp() + make_interval(secs => :after_s)
             WHERE owner = :owner"""),
        {"owner": owner, "after_s": after_s},
    )


def forget(connection: Connection, *, after_s: float, limit: int) -> int:
    """Let go of holds that lapsed so long ago, and that no job needs any more."""
    return connection.execute(
        text("""
            DELETE FROM held_keys WHERE (connection_id, kind, our_id) IN (
              SELECT connection_id, kind, our_id FROM held_keys AS h
               WHERE held_until < (
                     SELECT holdfast_confirmed_clock() - make_interval(
                              secs => :after_s))
                 AND NOT EXISTS (SELECT 1 FROM intents AS i
                                  WHERE i.kind = h.kind AND i.our_id = h.our_id)
                 AND NOT EXISTS (SELECT 1 FROM intent_batches AS b
                                  WHERE b.kind = h.kind AND h.our_id = ANY (b.our_ids))
               ORDER BY held_until LIMIT :limit)"""),
        {"after_s": after_s, "limit": limit},
    ).rowcount
