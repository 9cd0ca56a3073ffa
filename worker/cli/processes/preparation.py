"""`prepare`: what `up` has done to the database before anything works on it."""

import click

from worker.cli.database_preparation import prepare_at
from worker.cli.invocation import Cli, command
from worker.cli.processes.long_running import begins_after, need
from worker.findings.directory_import import load_directory
from worker.infrastructure.dependencies import bare


@command("prepare", hidden=True)
@begins_after
def prepare(cli: Cli) -> None:
    """Migrate, set the clock, and load the directory that the settings name."""
    settings = cli.settings
    need(settings, "database_url")
    prepare_at(settings, settings.database_url or "")
    if settings.directory is None:
        return
    deps = bare(settings)
    try:
        with settings.directory.open("rb") as lines:
            load_directory(deps, lines)
    finally:
        deps.database.close()


COMMANDS: tuple[click.Command, ...] = (prepare,)
