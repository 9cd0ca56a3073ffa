"""The servers that a command needs: those that are named, or the home's own.

What is not up on the home is started, and stopped again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from storage.jobs import heartbeats
from worker.cli.database_preparation import migrate_at, prepare_at
from worker.cli.invocation import Cli
from worker.cli.own_workers import check_own_workers
from worker.cli.processes.database_checks import tell_of_other_offset
from worker.embedded.locks import Note
from worker.embedded.stack import Wanted, running
from worker.infrastructure.dependencies import Deps, bare, connect
from worker.infrastructure.settings import MISSED_REPORTS, Settings


@contextmanager
def with_database(cli: Cli, *, migrate: bool = False) -> Iterator[Deps]:
    """The database: the one that is named, or the embedded one of the home.

    The embedded one is always migrated, a named one where `migrate` asks for it.
    """
    settings = cli.settings
    if settings.database_url:
        if migrate:
            migrate_at(settings.database_url)
        yield from _on(settings)
        return
    # Who only looks sets no clock.
    looks = settings.model_copy(update={"clock_offset_s": None})
    wanted = Wanted(home=settings.home, prepare=partial(prepare_at, looks))
    with running(wanted) as note:
        yield from _on(_reaching(settings, note))


@contextmanager
def with_workers(cli: Cli, *, migrate: bool = False) -> Iterator[Deps]:
    """The database with workers behind it; what is not up is started, and stopped."""
    settings = cli.settings
    if migrate and settings.database_url:
        migrate_at(settings.database_url)
    if settings.database_url and settings.broker_url and _workers_live(settings):
        yield from _on(settings)
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
        yield from _on(_reaching(settings, note))


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


def _on(settings: Settings) -> Iterator[Deps]:
    tell_of_other_offset(settings)
    deps = bare(settings)
    try:
        yield deps
    finally:
        deps.database.close()
