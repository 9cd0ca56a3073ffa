"""Cuts: a moment that many short transactions read the ledger as of.

A file is sent slowly, and no transaction is held open over the network. A row counts
where the transaction that wrote it had ended at the cut: so what is read in many
batches is what one snapshot would have shown.
"""

from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.tables.column_types import ERA


class Cut(NamedTuple):
    """A moment: the snapshot then, and the era of its transactions."""

    snapshot: str
    era: int


def cut(connection: Connection) -> Cut:
    """This very moment, as this statement sees it."""
    row = connection.execute(
        text("""
            SELECT CAST(pg_current_snapshot() AS text),
                   coalesce((SELECT era FROM chain_runs ORDER BY n DESC LIMIT 1), 0)""")
    ).one()
    return Cut(*row)


def had_ended(rows: str) -> str:
    """SQL for whether the transaction of a row of `rows` had ended at the cut.

    Takes `:snapshot` and `:era`. All transactions of an earlier era had.
    """
    counted = f"mod({rows}.transaction_id, {ERA})"
    return f"""
      ({rows}.transaction_id < CAST(:era AS bigint) * {ERA}
       OR pg_visible_in_snapshot(CAST(CAST({counted} AS text) AS xid8),
                                 CAST(:snapshot AS pg_snapshot)))"""
