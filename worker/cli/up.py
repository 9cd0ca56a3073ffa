"""`up`: everything on one machine."""

import click

from worker.cli.invocation import Cli, command
from worker.cli.long_running import log_to_stderr, stop_event
from worker.cli.servers import check_own_workers, prepare_at
from worker.embedded.stack import Wanted, running
from worker.findings.directory_import import load_directory
from worker.infrastructure.settings import Settings
from worker.wiring import wire


@command("up")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=int, help="0 picks one.")
def up(cli: Cli, *, host: str, port: int) -> None:
    """Run everything in one place until Ctrl-C: servers, API, worker, dispatcher."""
    log_to_stderr()
    settings = cli.settings
    check_own_workers(settings)
    stop = stop_event()
    wanted = Wanted(
        home=settings.home,
        prepare=lambda url: _prepare(settings, url),
        database_url=settings.database_url,
        broker_url=settings.broker_url,
        workers=True,
        api=(host, port),
        worker_grace_s=settings.worker_grace_s,
    )
    with running(wanted) as note:
        click.echo(f"ready {note.api_url}")
        stop.wait()


def _prepare(settings: Settings, url: str) -> None:
    """Migrate, set the clock, and load the directory that the settings name."""
    prepare_at(settings, url)
    if settings.directory is None:
        return
    deps = wire(settings.model_copy(update={"database_url": url}))
    try:
        with settings.directory.open("rb") as lines:
            load_directory(deps, lines)
    finally:
        deps.database.close()


COMMANDS: tuple[click.Command, ...] = (up,)
