"""How far the ledger is sealed: below that nothing can commit any more."""

from sqlalchemy import Connection, text


def bound(connection: Connection) -> int:
    """All transactions below it have ended."""
    row = connection.execute(
        text("""
            SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text)
                        AS bigint)""")
    )
    return int(row.scalar_one())


def head(
    connection: Connection, license_id: str, bound: int | None = None
) -> str | None:
    """The head of a license's chain at a bound."""
    del connection, license_id, bound
    return None
