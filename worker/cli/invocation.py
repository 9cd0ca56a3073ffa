"""What each command stands on: its options, its servers, and how it answers."""

import functools
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from storage import migrations
from storage.database import Database
from storage.jobs import heartbeats
from worker.embedded.stack import Wanted, running
from worker.infrastructure.dependencies import connect
from worker.infrastructure.settings import MISSED_REPORTS, Settings
from worker.responses.response import Answer
from worker.wiring import Wired, wire

_HOME, _JSON = f"{__name__}.home", f"{__name__}.json"
"""Where click keeps what the groups before a command were told."""


@dataclass(frozen=True, slots=True)
class Cli:
    """The settings of this call, and whether it answers in JSON."""

    settings: Settings
    json: bool

    def answer(self, answer: Answer, human: str) -> None:
        """Print the answer's object, or the same for a person."""
        click.echo(json.dumps(answer) if self.json else human)

    def say(self, human: str) -> None:
        """Print something for a person alone."""
        if not self.json:
            click.echo(human)


def _everywhere(function: Callable[..., None]) -> Callable[..., None]:
    """The options that every command takes, and every group before its command."""
    home = click.option("--home", type=click.Path(path_type=Path), help="Home folder.")
    as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
    return home(as_json(function))


def group(
    name: str, kind: type[click.Group] = click.Group
) -> Callable[[Callable[[], None]], click.Group]:
    """A group of commands; what it is told counts for the command after it."""

    def decorate(function: Callable[[], None]) -> click.Group:
        @_everywhere
        @functools.wraps(function)
        def run(*, home: Path | None, as_json: bool) -> None:
            meta = click.get_current_context().meta
            meta[_HOME] = home or meta.get(_HOME)
            meta[_JSON] = as_json or meta.get(_JSON, False)

        context = {"help_option_names": ["-h", "--help"]}
        return click.group(name, kind, context_settings=context)(run)

    return decorate


def command(
    name: str,
    *,
    negative_numbers: bool = False,
) -> Callable[[Callable[..., None]], click.Command]:
    """A command that takes `--home` and `--json`, and a `Ground` first.

    With `negative_numbers`, `-5` is an argument for us to judge, not an option.
    """
    context = {"ignore_unknown_options": negative_numbers}

    def decorate(function: Callable[..., None]) -> click.Command:
        @_everywhere
        @functools.wraps(function)
        def run(*, home: Path | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
            logging.basicConfig(level=logging.WARNING, format="%(message)s")
            before = click.get_current_context().meta
            cli = Cli(
                _settings(home or before.get(_HOME)),
                as_json or before.get(_JSON, False),
            )
            function(cli, **options)

        return click.command(name, context_settings=context)(run)

    return decorate


def _settings(home: Path | None) -> Settings:
    if home is not None:
        # So that each process started from here finds the same home.
        os.environ["HOLDFAST_HOME"] = str(home.expanduser().absolute())
    return Settings()


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
    with running(Wanted(home=settings.home, prepare=migrate_at)) as note:
        yield from _wired(
            settings.model_copy(update={"database_url": note.database_url}),
        )


@contextmanager
def with_workers(cli: Cli, *, migrate: bool = False) -> Iterator[Wired]:
    """The database with workers behind it; what is not up is started, and stopped."""
    settings = cli.settings
    if migrate and settings.database_url:
        migrate_at(settings.database_url)
    if settings.database_url and settings.broker_url and _workers_live(settings):
        yield from _wired(settings)
        return
    wanted = Wanted(
        home=settings.home,
        prepare=_leave_alone if settings.database_url else migrate_at,
        database_url=settings.database_url,
        broker_url=settings.broker_url,
        workers=True,
        worker_grace_s=settings.worker_grace_s,
        workers_live=lambda url: _workers_live(
            settings.model_copy(update={"database_url": url})
        ),
    )
    with running(wanted) as note:
        urls = {"database_url": note.database_url, "broker_url": note.broker_url}
        yield from _wired(settings.model_copy(update=urls))


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
    deps = wire(settings)
    try:
        yield deps
    finally:
        deps.database.close()


def migrate_at(url: str) -> None:
    """Bring the schema at a URL to the newest version."""
    database = Database(url, pool=1)
    try:
        migrations.migrate(database)
    finally:
        database.close()
