"""`worker` and `dispatcher`: the processes that do the work, and hand it out."""

import click

from worker.celery_app import make_app, run_worker
from worker.celery_tasks import register
from worker.cli.invocation import Cli, command
from worker.cli.long_running import (
    log_to_stderr,
    need,
    need_schema,
    stop_event,
    tell_of_other_offset,
)
from worker.findings.provider_registry import check_limits
from worker.infrastructure.dependencies import new_owner
from worker.jobs.dispatcher import BROKER_WITHIN_S, Dispatcher
from worker.webhooks import operator_webhook
from worker.wiring import chores_of, wire


@command("worker")
def worker(cli: Cli) -> None:
    """Work on chunks; TERM lets batches end and gives chunks back."""
    log_to_stderr()
    settings = cli.settings
    need(settings, "database_url", "broker_url")
    check_limits(settings)
    operator_webhook.check(settings)
    need_schema(settings)
    tell_of_other_offset(settings)
    app = make_app(settings)
    heartbeat = register(app, settings)
    status = run_worker(
        app,
        [
            "--pool=prefork",
            f"--concurrency={settings.worker_concurrency}",
            f"--hostname={new_owner().replace(':', '-')}",
            # Workers need not know of each other; it costs a second at each start.
            "--without-gossip",
            "--without-mingle",
            "--loglevel=INFO",
        ],
    )
    raise click.exceptions.Exit(1 if heartbeat.has_failed else status)


@command("dispatcher")
def dispatcher(cli: Cli) -> None:
    """Hand what waits to the broker, and bring back what was lost."""
    log_to_stderr()
    settings = cli.settings
    need(settings, "database_url", "broker_url")
    operator_webhook.check(settings)
    need_schema(settings)
    tell_of_other_offset(settings)
    stop = stop_event()
    deps = wire(settings)
    app = make_app(settings, within_s=BROKER_WITHIN_S)
    Dispatcher(deps, app, chores_of(deps)).run(stop)


COMMANDS: tuple[click.Command, ...] = (worker, dispatcher)
