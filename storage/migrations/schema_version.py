"""The version of a database's schema, beside the one that this code was written for.

Versions are told by the names of their files: whoever only asks needs no Alembic.
"""

from pathlib import Path

from sqlalchemy import Connection, text

from storage.errors import OtherSchema

_VERSIONS = Path(__file__).with_name("versions")


def known() -> list[str]:
    """All versions that this code knows, the newest last."""
    return sorted(path.name.split("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))


def current(connection: Connection) -> str | None:
    """The version of a database; None where it has no schema of ours."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    version: str | None = connection.scalar(
        text("SELECT version_num FROM alembic_version")
    )
    return version


def refuse_newer(connection: Connection) -> None:
    """Raise `OtherSchema` where a newer version of this code has been here."""
    version = current(connection)
    if version is not None and version not in known():
        raise OtherSchema(
            f"the database's schema is {version}, which a newer "
            "version made: run that one, or restore a backup from before"
        )


def check(connection: Connection) -> None:
    """Raise `OtherSchema` unless the schema is the one that this code knows."""
    refuse_newer(connection)
    if not is_migrated(connection):
        raise OtherSchema("the database is not migrated: holdfast migrate")


def is_migrated(connection: Connection) -> bool:
    """Whether the schema is the one that this code was written for."""
    return current(connection) == known()[-1]


def stamp(connection: Connection) -> None:
    """Say of a new database that its schema is the newest, in Alembic's own table."""
    connection.execute(
        text("""
        CREATE TABLE alembic_version (
            version_num VARCHAR(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY
        )""")
    )
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:newest)"),
        {"newest": known()[-1]},
    )
