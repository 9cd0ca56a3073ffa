"""How far the ledger is sealed, and the head that a statement is held to."""

from sqlalchemy import Connection

from storage.finance.chain import runs


def bound(connection: Connection) -> int:
    """Below it all transactions have ended and are sealed; 0 where nothing is."""
    return runs.sealed_bound(connection)


def head(
    connection: Connection, license_id: str, bound: int | None = None
) -> str | None:
    """The head of a license's chain, in hex, at a sealed bound: by default the last.

    None where nothing of the license was sealed below it.
    """
    at = runs.sealed_bound(connection) if bound is None else bound
    found = runs.head_at(connection, license_id, at)
    return None if found is None else found.head.hex()
