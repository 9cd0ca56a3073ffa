"""The servers that a command needs: those that are named, or the home's own.

What is not up on the home is started, and stopped again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from storage import migrations
from storage.database import Database
from storage.jobs import heartbeats
from worker.cli.invocation import Cli
from worker.cli.long_running import tell_of_other_offset
from worker.embedded.locks import Note
from worker.embedded.stack import Wanted, running
from worker.findings.provider_registry import check_limits
from worker.infrastructure.dependencies import connect
from worker.infrastructure.settings import MISSED_REPORTS, Settings
from worker.ledger import business_clock
from worker.wiring import Wired, wire


@contextmanager
def with_database(cli: Cli, *, migrate: bool = False) -> Iterator[Wired]:
    """The database: the one that is named, or the embedded one of the home.

    The embedded one is always migrated, a named one where `migrate` asks for it.
    """
    settings = cli.settings
    if settings.database_url:
        if migrate:
            migrate_at(settings.database_url)
        yield from _wired(settings)
        return
    # Who only looks sets no clock.
    looks = settings.model_copy(update={"clock_offset_s": None})
    wanted = Wanted(home=settings.home, prepare=partial(prepare_at, looks))
    with running(wanted) as note:
        yield from _wired(_reaching(settings, note))


@contextmanager
def with_workers(cli: Cli, *, migrate: bool = False) -> Iterator[Wired]:
    """The database with workers behind it; what is not up is started, and stopped."""
    settings = cli.settings
    if migrate and settings.database_url:
        migrate_at(settings.database_url)
    if settings.database_url and settings.broker_url and _workers_live(settings):
        yield from _wired(settings)
        return
    check_own_workers(settings)
    wanted = Wanted(
        home=settings.home,
        prepare=_leave_alone
        if settings.database_url
        else partial(prepare_at, settings),
        database_url=settings.database_url,
        broker_url=settings.broker_url,
        workers=True,
        worker_grace_s=settings.worker_grace_s,
        workers_live=lambda url: _workers_live(
            settings.model_copy(update={"database_url": url})
        ),
    )
    with running(wanted) as note:
        yield from _wired(_reaching(settings, note))


def check_own_workers(settings: Settings) -> None:
    """Refuse what workers that are started here would refuse, before they are.

    Where no broker is named they have the home's own, which is a Redis.
    """
    if settings.broker_url:
        check_limits(settings)


def _reaching(settings: Settings, note: Note) -> Settings:
    """Settings that lead to what runs in a home."""
    urls = {
        "database_url": note.database_url,
        "broker_url": note.broker_url or settings.broker_url,
    }
    return settings.model_copy(update=urls)


def _leave_alone(_: str) -> None:
    """A database that is named is migrated by `holdfast migrate` alone."""


def _workers_live(settings: Settings) -> bool:
    database = connect(settings, pool=1)
    try:
        with database.transaction() as connection:
            within_s = settings.report_interval_s * MISSED_REPORTS
            return heartbeats.alive(connection, within_s=within_s) >= {
                "worker",
                "dispatcher",
            }
    finally:
        database.close()


def _wired(settings: Settings) -> Iterator[Wired]:
    tell_of_other_offset(settings)
    deps = wire(settings)
    try:
        yield deps
    finally:
        deps.database.close()


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
        migrations.migrate(database)
    finally:
        database.close()
