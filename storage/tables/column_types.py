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
