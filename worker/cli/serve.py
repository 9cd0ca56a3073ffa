"""What runs for long: `up`, `api`, `worker`, `dispatcher`."""

import logging
import signal
import socket
from threading import Event

import click
import uvicorn
from sqlalchemy.exc import OperationalError

from storage import migrations
from worker.api.app import make_api
from worker.app import make_app
from worker.cli.ground import Ground, command, migrate_at
from worker.dispatcher import Dispatcher
from worker.embedded.stack import Wanted, running
from worker.errors import NotConfigured
from worker.loading import load_directory
from worker.settings import Settings
from worker.tasks import register
from worker.wiring import connect, new_owner, wire


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,
    )


def _need(settings: Settings, *names: str) -> None:
    for name in names:
        if not getattr(settings, name):
            raise NotConfigured(f"HOLDFAST_{name.upper()} is not set")


def _need_schema(settings: Settings) -> None:
    """Refuse the schema of another version; whether the database is up is not asked."""
    database = connect(settings, pool=1)
    try:
        with database.transaction() as connection:
            migrations.check(connection)
    except OperationalError:
        return
    finally:
        database.close()


@command("api")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=int)
@click.option("--fd", type=int, help="Serve on a socket that is open already.")
def api(ground: Ground, *, host: str, port: int, fd: int | None) -> None:
    """Serve the API."""
    _log_to_stderr()
    _need(ground.settings, "database_url", "broker_url")
    config = uvicorn.Config(
        make_api(ground.settings), host=host, port=port, log_level="warning"
    )
    sockets = None if fd is None else [socket.socket(fileno=fd)]
    uvicorn.Server(config).run(sockets)


@command("worker")
def worker(ground: Ground) -> None:
    """Work on chunks; TERM lets batches end and gives chunks back."""
    _log_to_stderr()
    settings = ground.settings
    _need(settings, "database_url", "broker_url")
    _need_schema(settings)
    app = make_app(settings)
    register(app, settings)
    app.worker_main(
        [
            "worker",
            "--pool=prefork",
            f"--concurrency={settings.worker_concurrency}",
            f"--hostname={new_owner().replace(':', '-')}",
            # Workers need not know of each other; it costs a second at each start.
            "--without-gossip",
            "--without-mingle",
            "--loglevel=INFO",
        ],
    )


@command("dispatcher")
def dispatcher(ground: Ground) -> None:
    """Hand what waits to the broker, and bring back what was lost."""
    _log_to_stderr()
    settings = ground.settings
    _need(settings, "database_url", "broker_url")
    _need_schema(settings)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Dispatcher(wire(settings), make_app(settings)).run(stop)


@command("up")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=int, help="0 picks one.")
def up(ground: Ground, *, host: str, port: int) -> None:
    """Run everything in one place until Ctrl-C: servers, API, worker, dispatcher."""
    _log_to_stderr()
    settings = ground.settings
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
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
    """Migrate, and load the directory that the settings name."""
    migrate_at(url)
    if settings.directory is None:
        return
    deps = wire(settings.model_copy(update={"database_url": url}))
    try:
        with settings.directory.open("rb") as lines:
            load_directory(deps, lines)
    finally:
        deps.database.close()


COMMANDS: tuple[click.Command, ...] = (up, api, worker, dispatcher)
