"""How Alembic reaches the database: in one transaction, one migrator at a time."""

from alembic import context
from sqlalchemy import text

from storage.database import Database
from storage.tables import metadata

_MIGRATION_LOCK = 4_846_001
"""An advisory lock: two deployments that migrate at once take turns."""

database: Database = context.config.attributes["database"]
with database.transaction(patient=True) as connection:
    connection.execute(text("SET LOCAL lock_timeout = '30s'"))
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK}
    )
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,
    )
    context.run_migrations()
