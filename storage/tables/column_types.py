"""What all tables share: names of constraints, and the types of ids and instants."""

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    MetaData,
    Text,
    func,
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
