"""Alembic's migrations, and `migrate`, which runs them without any file outside."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.db import Database


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def migrate(database: Database) -> None:
    """Bring the schema to the newest version; several at once wait for each other."""
    config = _config()
    config.attributes["database"] = database
    command.upgrade(config, "head")


def is_migrated(connection: Connection) -> bool:
    """Whether the schema is the one that this code was written for."""
    heads = set(ScriptDirectory.from_config(_config()).get_heads())
    return set(MigrationContext.configure(connection).get_current_heads()) == heads
