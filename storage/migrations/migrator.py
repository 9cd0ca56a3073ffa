"""The migrator: brings a schema to the newest version, one migrator at a time.

A new database is made from the tables as they are described; a test holds that the
versions, one after the other, come to the same. Most databases lack nothing.
"""

from sqlalchemy import Connection, text

from storage.database import Database
from storage.migrations import schema_version
from storage.tables import (
    metadata,
    triggers,  # noqa: F401 - made with the tables, and before some indexes
)

_MIGRATION_LOCK = 4_846_001
"""An advisory lock: two deployments that migrate at once take turns."""


def migrate(database: Database, to: str = "head") -> None:
    """Bring the schema to the newest version; several at once wait for each other.

    Raises `OtherSchema` where a newer version of this code has been here.
    """
    with database.transaction() as connection:
        schema_version.refuse_newer(connection)
        if to == "head" and schema_version.is_migrated(connection):
            return
    with database.transaction(patient=True) as connection:
        connection.execute(text("SET LOCAL lock_timeout = '30s'"))
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK}
        )
        # A restored database is migrated before an operator lets credits move again.
        connection.execute(
            text("SELECT set_config('holdfast.money_moves', 'yes', true)")
        )
        if to == "head" and schema_version.current(connection) is None:
            _make(connection)
        else:
            upgrade(connection, to)


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run each version that a database lacks, up to one."""
    from storage.migrations import alembic_run  # noqa: PLC0415 - most lack none

    alembic_run.upgrade(connection, to)


def _make(connection: Connection) -> None:
    """Make all tables at once. Raises where one is there without its version."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(text("INSERT INTO business_clock DEFAULT VALUES"))
    schema_version.stamp(connection)
