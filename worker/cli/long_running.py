"""What commands that run for long share: their log, what they need, how they stop."""

import logging
import signal
from threading import Event

from sqlalchemy.exc import OperationalError, ProgrammingError

from storage import migrations
from storage.ledger import business_clock
from worker.infrastructure.dependencies import connect
from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.settings import Settings
from worker.ledger.business_clock import other_offset

log = logging.getLogger(__name__)


def log_to_stderr() -> None:
    """Log each line with its time."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,
    )


def need(settings: Settings, *names: str) -> None:
    """Raise `NotConfigured` for a setting that is missing."""
    for name in names:
        if not getattr(settings, name):
            raise NotConfigured(f"HOLDFAST_{name.upper()} is not set")


def need_schema(settings: Settings) -> None:
    """Refuse the schema of another version; whether the database is up is not asked."""
    database = connect(settings, pool=1)
    try:
        with database.transaction() as connection:
            migrations.check(connection)
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


def stop_event() -> Event:
    """An event that TERM and Ctrl-C set."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
