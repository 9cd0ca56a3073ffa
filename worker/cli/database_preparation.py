"""What a database lacks before anything works on it: its schema, and its clock."""

from storage.database import Database
from storage.migrations import migrator
from worker.infrastructure.dependencies import connect
from worker.infrastructure.settings import Settings
from worker.ledger import business_clock


def prepare_at(settings: Settings, url: str) -> None:
    """Migrate, and let business time begin: what runs from here on goes by it."""
    migrate_at(url)
    database = connect(settings.model_copy(update={"database_url": url}), pool=1)
    try:
        business_clock.start(database, settings.clock_offset_s)
    finally:
        database.close()


def migrate_at(url: str) -> None:
    """Bring the schema at a URL to the newest version."""
    database = Database(url, pool=1)
    try:
        migrator.migrate(database)
    finally:
        database.close()
