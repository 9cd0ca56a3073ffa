"""Eras: a restored database counts its transactions anew, above all it ever counted."""

from sqlalchemy import Connection, text

from storage.finance.chain import runs
from storage.finance.chain.sealed_rows import TABLES
from storage.tables.column_types import transaction_of


def hold_still(connection: Connection) -> None:
    """Be the one who seals, and let nobody write money until this transaction ends.

    In a new one: what the others had begun has ended before its snapshot.
    """
    runs.take_turn(connection, wait=True)
    connection.execute(text(f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE"))


def raise_to(connection: Connection, era: int) -> None:
    """Let whoever writes from now on be of this era."""
    for table in TABLES:
        connection.execute(
            text(
                f"ALTER TABLE {table} ALTER COLUMN transaction_id"
                f" SET DEFAULT {transaction_of(era)}"
            )
        )
