"""Alembic's migrations, and `migrate`, which runs them without any file outside.

Imports `database` and the tables. Start with the newest in `versions`.
"""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.database import Database
from storage.errors import OtherSchema


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def migrate(database: Database, to: str = "head") -> None:
    """Bring the schema to the newest version; several at once wait for each other.

    Raises `OtherSchema` where a newer version of this code has been here.
    """
    config = _config()
    with database.transaction() as connection:
        _refuse_newer(connection)
    config.attributes["database"] = database
    command.upgrade(config, to)


def _refuse_newer(connection: Connection) -> None:
    scripts = ScriptDirectory.from_config(_config())
    known = {script.revision for script in scripts.walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        raise OtherSchema(
            f"the database's schema is {', '.join(sorted(unknown))}, which a newer "
            "version made: run that one, or restore a backup from before"
        )


def check(connection: Connection) -> None:
    """Raise `OtherSchema` unless the schema is the one that this code knows."""
    _refuse_newer(connection)
    if not is_migrated(connection):
        raise OtherSchema("the database is not migrated: holdfast migrate")


def is_migrated(connection: Connection) -> bool:
    """Whether the schema is the one that this code was written for."""
    heads = set(ScriptDirectory.from_config(_config()).get_heads())
    return set(MigrationContext.configure(connection).get_current_heads()) == heads
