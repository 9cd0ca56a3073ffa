"""What all tables share: names of constraints, and the types of ids and instants."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    MetaData,
    Text,
    func,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)

Id = Text(collation="C")
"""Compared byte by byte: exact, and fast in an index."""

Instant = DateTime(timezone=True)
NOW = func.clock_timestamp()


def one_of(
    column: str, values: type[str], *, name: str | None = None
) -> CheckConstraint:
    """Hold a column to the members of an enum of strings."""
    members = ", ".join(f"'{value}'" for value in values)  # type: ignore[attr-defined]
    return CheckConstraint(f"{column} IN ({members})", name=name or column)


COMPANY_OR_PERSON = "kind IN ('company', 'person')"


ERA = 1 << 48
"""Transactions of an era; it rises when a backup was restored, whose counter may say
again what it has said before."""


def transaction_of(era: int) -> str:
    """What tells the transaction that writes a row: SQL, with the era as a constant.

    The function is `pg_current_xact_id` under its former name, by which it answers a
    number: without a detour by text, which would cost a settled contact a hundredth.
    """
    return f"CAST('{era}' AS bigint) * CAST('{ERA}' AS bigint) + txid_current()"


def transaction_column() -> Column[int]:
    """The transaction that wrote a row: what a run of the chain seals goes by it."""
    written_in = text(transaction_of(era=0))
    return Column(
        "transaction_id", BigInteger, nullable=False, server_default=written_in
    )


def transaction_index(table: str) -> Index:
    """Finds what was written lately, and costs whoever writes next to nothing."""
    return Index(
        f"{table}_transaction_id_idx",
        "transaction_id",
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32, "autosummarize": True},
    )


# How PostgreSQL's autovacuum treats tables that a past makes long. By its own settings
# it waits for a fifth of a table, so that each year has more to wait for.

ONLY_GROWS = {
    "autovacuum_vacuum_insert_scale_factor": "0",
    "autovacuum_vacuum_insert_threshold": "500000",
}
"""Looked through by so many new rows, however many there are."""

CHANGES_WHILE_YOUNG = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
}
"""Cleaned before the dead rows, which are all among the young, outnumber those."""
