"""What a process looks at in the database before it begins."""

import logging

from sqlalchemy.exc import OperationalError, ProgrammingError

from storage.ledger import business_clock
from storage.migrations import schema_version
from worker.infrastructure.dependencies import connect
from worker.infrastructure.settings import Settings
from worker.ledger.business_clock import other_offset

log = logging.getLogger(__name__)


def need_schema(settings: Settings) -> None:
    """Refuse the schema of another version; whether the database is up is not asked."""
    database = connect(settings, pool=1)
    try:
        with database.transaction() as connection:
            schema_version.check(connection)
    except OperationalError:
        return
    finally:
        database.close()


def tell_of_other_offset(settings: Settings) -> None:
    """Say where this process was told of another offset than all others go by."""
    if settings.clock_offset_s is None:
        return
    database = connect(settings, pool=1)
    try:
        with database.transaction() as connection:
            reading = business_clock.read(connection)
    except (OperationalError, ProgrammingError):
        return
    finally:
        database.close()
    if other_offset(reading, settings.clock_offset_s):
        log.warning(
            "HOLDFAST_CLOCK_OFFSET_S is left aside: it says %s s, and all processes go "
            "by the %s s in the database (holdfast clock set-offset)",
            settings.clock_offset_s,
            reading.offset_s,
        )
