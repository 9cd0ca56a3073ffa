"""`worker` and `dispatcher`: the processes that do the work, and hand it out."""

import click

from worker.app import make_app
from worker.cli.ground import Ground, command
from worker.cli.lasting import log_to_stderr, need, need_schema, stop_event
from worker.dispatcher import Dispatcher
from worker.tasks import register
from worker.wiring import new_owner, wire


@command("worker")
def worker(ground: Ground) -> None:
    """Work on chunks; TERM lets batches end and gives chunks back."""
    log_to_stderr()
    settings = ground.settings
    need(settings, "database_url", "broker_url")
    need_schema(settings)
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
    log_to_stderr()
    settings = ground.settings
    need(settings, "database_url", "broker_url")
    need_schema(settings)
    stop = stop_event()
    Dispatcher(wire(settings), make_app(settings)).run(stop)


COMMANDS: tuple[click.Command, ...] = (worker, dispatcher)
